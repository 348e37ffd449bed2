import GefsEngine
import Logging
import NIOCore
import NIOPosix
import Synchronization

/// Serves a file system over 9P2000.
///
/// Safe to use from any thread; `start` and `stop` block.
public final class NinePServer: Sendable {
    struct State {
        var isStarted = false
        var isStopping = false
        var listeners: [any Channel] = []
        var boundAddresses: [ListenAddress] = []
        var sockets: [UnixSocketFile] = []
        var connections: [ObjectIdentifier: Connection] = [:]
        var consoles: [ObjectIdentifier: (ConsoleConnection, any EventLoop)] = [:]
    }

    let fileSystem: FileSystem
    let configuration: ServerConfiguration
    let group: MultiThreadedEventLoopGroup
    /// One for each event loop.
    let turns: [ObjectIdentifier: ReplyTurn]
    let pools: RequestPools
    let shared: SharedServerState
    let state = Condition(State())

    /// Makes a server that listens nowhere yet.
    public init(fileSystem: FileSystem, configuration: ServerConfiguration) {
        self.fileSystem = fileSystem
        self.configuration = configuration
        let cores = System.coreCount
        group = MultiThreadedEventLoopGroup(
            numberOfThreads: max(1, configuration.eventLoopThreads ?? cores))
        turns = Dictionary(
            uniqueKeysWithValues: group.makeIterator().map { (ObjectIdentifier($0), ReplyTurn($0)) }
        )
        pools = RequestPools(
            device: WorkerPool(
                threadsMax: max(1, configuration.workerThreads ?? max(4, 2 * cores))),
            control: WorkerPool(threadsMax: Self.controlThreads),
            sync: SyncQueue(fileSystem: fileSystem))
        shared = SharedServerState(
            isPermissive: configuration.isPermissive,
            controlHandler: configuration.controlHandler)
    }

    deinit {
        // Does something only for a server that was never started: listeners keep it alive.
        stop()
    }

    /// Commands of control sockets that may run at once.
    private static let controlThreads = 8

    /// Where the server listens, ports that the system chose filled in; in the order configured.
    public var boundAddresses: [ListenAddress] { state.withLock { $0.boundAddresses } }

    /// Connections served now.
    public var connectionCount: Int { state.withLock { $0.connections.count } }

    /// Whether anyone may use `%` attaches; can be changed at any time.
    public var isPermissive: Bool {
        get { shared.isPermissive.load(ordering: .relaxed) }
        set { shared.isPermissive.store(newValue, ordering: .relaxed) }
    }

    /// Listens at every configured place; on return clients can connect. A server starts once.
    ///
    /// - Throws: `ServerError`; nothing listens then, and the server cannot be used any more.
    public func start() throws(ServerError) {
        let isFirst = state.withLock { state in
            defer { state.isStarted = true }
            return !state.isStarted
        }
        guard isFirst else { throw .alreadyStarted }
        do throws(ServerError) {
            for listener in configuration.listeners { try check(listener) }
            for listener in configuration.listeners { try start(listener) }
            if let path = configuration.consolePath, let handler = configuration.controlHandler {
                try startConsole(path: path, handler)
            }
        } catch {
            stop()
            throw error
        }
    }

    /// Stops listening, finishes the requests under way, closes the connections and their fids.
    ///
    /// The file system stays open. Calling it again does nothing. A command of a control handler is a
    /// request under way: it must not call this itself.
    public func stop() {
        let work = state.withLock {
            state -> (listeners: [any Channel], sockets: [UnixSocketFile])? in
            guard !state.isStopping else { return nil }
            state.isStopping = true
            return (state.listeners, state.sockets)
        }
        guard let work else { return }
        for listener in work.listeners { try? listener.close().wait() }
        for socket in work.sockets { socket.remove() }
        let connections = state.withLock { Array($0.connections.values) }
        let patience = TimeAmount(configuration.stopPatience)
        for connection in connections {
            connection.eventLoop.execute { connection.beginDraining() }
            connection.eventLoop.scheduleTask(in: patience) { connection.closeNow() }
        }
        for (console, eventLoop) in state.withLock({ Array($0.consoles.values) }) {
            eventLoop.execute { console.beginDraining() }
            eventLoop.scheduleTask(in: patience) { console.closeNow() }
        }
        state.wait { $0.connections.isEmpty && $0.consoles.isEmpty }
        pools.shutDown()
        try? group.syncShutdownGracefully()
    }
}
