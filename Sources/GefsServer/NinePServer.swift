import GefsEngine
import Logging
import NIOCore
import NIOPosix
import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Serves a file system over 9P2000.
///
/// Safe to use from any thread; `start` and `stop` block.
public final class NinePServer: Sendable {
    private struct State {
        var isStarted = false
        var isStopping = false
        var listeners: [any Channel] = []
        var boundAddresses: [ListenAddress] = []
        var sockets: [UnixSocketFile] = []
        var connections: [ObjectIdentifier: Connection] = [:]
    }

    private let fileSystem: FileSystem
    private let configuration: ServerConfiguration
    private let group: MultiThreadedEventLoopGroup
    private let pools: RequestPools
    private let shared: SharedServerState
    private let state = Condition(State())

    /// Makes a server that listens nowhere yet.
    public init(fileSystem: FileSystem, configuration: ServerConfiguration) {
        self.fileSystem = fileSystem
        self.configuration = configuration
        let cores = System.coreCount
        group = MultiThreadedEventLoopGroup(
            numberOfThreads: max(1, configuration.eventLoopThreads ?? cores))
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
        } catch {
            stop()
            throw error
        }
    }

    /// Stops listening, finishes the requests under way, closes the connections and their fids.
    ///
    /// The file system stays open. Calling it again does nothing.
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
        state.wait { $0.connections.isEmpty }
        pools.shutDown()
        try? group.syncShutdownGracefully()
    }

    // MARK: Listeners

    /// Refuses what would let anyone be anybody without having been told to.
    private func check(_ listener: ListenerConfiguration) throws(ServerError) {
        switch listener.address {
        case .unix: return
        case .standardIO:
            if listener.isControl { throw .controlNeedsUnixSocket(listener.address) }
        case .tcp:
            if listener.isControl { throw .controlNeedsUnixSocket(listener.address) }
            if listener.authentication == .peer { throw .noPeerCredentials(listener.address) }
        case .descriptor(let descriptor):
            if SocketDescriptor.isUnixSocket(descriptor) { return }
            if listener.isControl { throw .controlNeedsUnixSocket(listener.address) }
            if listener.authentication == .peer { throw .noPeerCredentials(listener.address) }
        }
    }

    private func start(_ listener: ListenerConfiguration) throws(ServerError) {
        switch listener.address {
        case .tcp(let host, let port): try startTCP(listener, host: host, port: port)
        case .unix(let path): try startUnix(listener, path: path)
        case .standardIO: try startStandardIO(listener)
        case .descriptor(let descriptor):
            if SocketDescriptor.isListening(descriptor) {
                try startBound(listener, descriptor, at: listener.address)
            } else {
                try startConnected(listener, descriptor)
            }
        }
    }

    private func startTCP(
        _ listener: ListenerConfiguration, host: String, port: Int
    ) throws(ServerError) {
        do {
            let channel = try bootstrap(listener)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .bind(host: host, port: port).wait()
            let bound = channel.localAddress?.port ?? port
            add(channel, at: .tcp(host: host, port: bound))
        } catch let error as IOError where error.errnoCode == EADDRINUSE {
            throw .addressInUse(listener.address)
        } catch {
            throw .cannotListen(listener.address, reason: "\(error)")
        }
    }

    private func startUnix(
        _ listener: ListenerConfiguration, path: String
    ) throws(ServerError) {
        let socket = try UnixSocketFile.listen(
            path: path, mode: listener.isControl ? 0o600 : 0o666)
        state.withLock { $0.sockets.append(socket.file) }
        try startBound(listener, socket.descriptor, at: listener.address)
    }

    private func startBound(
        _ listener: ListenerConfiguration, _ descriptor: Int32, at address: ListenAddress
    ) throws(ServerError) {
        do {
            add(try bootstrap(listener).withBoundSocket(descriptor).wait(), at: address)
        } catch {
            throw .cannotListen(address, reason: "\(error)")
        }
    }

    private func startConnected(
        _ listener: ListenerConfiguration, _ descriptor: Int32
    ) throws(ServerError) {
        do {
            _ = try ClientBootstrap(group: group)
                .channelOption(.allowRemoteHalfClosure, value: true)
                .channelOption(.recvAllocator, value: Self.receiveAllocator)
                .channelInitializer { [self] channel in
                    channel.eventLoop.makeCompletedFuture { try serve(channel, listener) }
                }
                .withConnectedSocket(descriptor).wait()
            state.withLock { $0.boundAddresses.append(listener.address) }
        } catch {
            throw .cannotListen(listener.address, reason: "\(error)")
        }
    }

    /// Serves whoever started us, over duplicates of descriptors 0 and 1.
    private func startStandardIO(_ listener: ListenerConfiguration) throws(ServerError) {
        let input = dup(STDIN_FILENO)
        guard input >= 0 else { throw .system(call: "dup", errno: errno) }
        let output = dup(STDOUT_FILENO)
        guard output >= 0 else {
            let reason = errno
            close(input)
            throw .system(call: "dup", errno: reason)
        }
        do {
            let channel = try NIOPipeBootstrap(group: group)
                .channelOption(.allowRemoteHalfClosure, value: true)
                .channelOption(.recvAllocator, value: Self.receiveAllocator)
                .channelInitializer { [self] channel in
                    channel.eventLoop.makeCompletedFuture { try serve(channel, listener) }
                }
                .takingOwnershipOfDescriptors(input: input, output: output).wait()
            if let ended = configuration.standardIOEnded {
                channel.closeFuture.whenComplete { _ in ended() }
            }
            state.withLock { $0.boundAddresses.append(listener.address) }
        } catch {
            close(input)
            close(output)
            throw .cannotListen(listener.address, reason: "\(error)")
        }
    }

    private func add(_ channel: any Channel, at address: ListenAddress) {
        state.withLock { state in
            state.listeners.append(channel)
            state.boundAddresses.append(address)
        }
    }

    private func bootstrap(_ listener: ListenerConfiguration) -> ServerBootstrap {
        let isTCP = if case .tcp = listener.address { true } else { false }
        let bootstrap = ServerBootstrap(group: group)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(.recvAllocator, value: Self.receiveAllocator)
            .childChannelInitializer { [self] channel in
                channel.eventLoop.makeCompletedFuture { try serve(channel, listener) }
            }
        return isTCP ? bootstrap.childChannelOption(.tcpOption(.tcp_nodelay), value: 1) : bootstrap
    }

    /// Grows to what a pipelining writer sends at once.
    private static let receiveAllocator = AdaptiveRecvByteBufferAllocator(
        minimum: 4 << 10, initial: 64 << 10, maximum: 512 << 10)

    // MARK: Connections

    /// Closes a channel that was accepted for nothing.
    private struct ConnectionRefused: Error {}

    /// Makes a new channel a connection. On the channel's event loop.
    private func serve(_ channel: any Channel, _ listener: ListenerConfiguration) throws {
        var logger = configuration.logger
        logger[metadataKey: "client"] = "\(channel.remoteAddress?.description ?? "local")"
        let executor = RequestExecutor(
            fileSystem: fileSystem, authentication: listener.authentication,
            peer: peer(of: channel, listener), isControlListener: listener.isControl,
            shared: shared, logger: logger)
        let connection = Connection(
            executor: executor,
            environment: Connection.Environment(
                pools: pools, messageBytesMax: configuration.messageBytesMax,
                outstandingRequestsMax: configuration.outstandingRequestsMax,
                outstandingBytesMax: configuration.outstandingBytesMax, logger: logger,
                ended: { [self] in forget($0) }),
            eventLoop: channel.eventLoop)
        let isAccepted = state.withLock { state in
            guard !state.isStopping, state.connections.count < configuration.connectionsMax else {
                return false
            }
            state.connections[ObjectIdentifier(connection)] = connection
            return true
        }
        guard isAccepted else {
            logger.warning("connection refused: too many, or the server is stopping")
            throw ConnectionRefused()
        }
        do {
            try channel.pipeline.syncOperations.addHandler(connection)
        } catch {
            forget(connection)
            throw error
        }
        logger.debug("connection")
    }

    private func forget(_ connection: Connection) {
        state.withLock { $0.connections[ObjectIdentifier(connection)] = nil }
        state.wakeAll()
    }

    /// Asks the kernel who connected. Whoever started us holds our standard input.
    private func peer(of channel: any Channel, _ listener: ListenerConfiguration) -> Peer {
        if listener.address == .standardIO { return Peer(userID: geteuid()) }
        let userID = try? channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(
            of: NIOBSDSocket.Handle.self
        ) { descriptor in SocketDescriptor.peerUserID(descriptor) }
        return Peer(userID: userID ?? nil)
    }
}
