import GefsControl
import GefsEngine
import Logging
import NIOCore
import NIOEmbedded
import NineP
import Synchronization

@testable import GefsServer

/// A connection of a server without sockets and threads: what its pools are given, the caller runs.
final class FuzzConnection {
    let channel = EmbeddedChannel()
    private let connection: Connection
    private let hasEnded = Atomic(false)
    private let ended: EndMark

    /// Set when a connection has let go of everything.
    private final class EndMark: Sendable {
        let isSet = Atomic(false)
    }

    init(
        _ fileSystem: FileSystem, isControl: Bool, handler: any ControlHandler,
        configure: (inout Connection.Environment) -> Void = { _ in }
    ) throws {
        let pools = RequestPools(
            device: WorkerPool(threadsMax: 1), control: WorkerPool(threadsMax: 1),
            sync: SyncQueue(fileSystem: fileSystem))
        // From now on whoever submits something runs it.
        pools.shutDown()
        let logger = Logger(label: "fuzz") { _ in SwiftLogNoOpLogHandler() }
        let ended = EndMark()
        self.ended = ended
        var environment = Connection.Environment(
            pools: pools, messageBytesMax: 64 << 10, outstandingRequestsMax: 16,
            outstandingBytesMax: 1 << 20, fidsMax: 64, fidsTotalMax: 1000,
            outstandingBytesTotalMax: 1 << 20, sessionPatience: nil, limits: SharedLimits(),
            logger: logger,
            ended: { _ in ended.isSet.store(true, ordering: .relaxed) })
        configure(&environment)
        connection = Connection(
            executor: RequestExecutor(
                fileSystem: fileSystem, authentication: .none, peer: Peer(userID: nil),
                isControlListener: isControl,
                shared: SharedServerState(isPermissive: true, controlHandler: handler),
                logger: logger),
            environment: environment, turn: ReplyTurn(channel.eventLoop))
        try channel.pipeline.syncOperations.addHandler(connection)
        try channel.connect(to: SocketAddress(unixDomainSocketPath: "/fuzz")).wait()
        channel.read()
    }

    var isActive: Bool { channel.isActive }

    /// Whether more is taken: a client whose server does not read cannot send without end.
    var takesMore: Bool { connection.mayProceed }

    func receive(_ bytes: ByteBuffer) {
        _ = try? channel.writeInbound(bytes)
    }

    /// Lets everything happen that has been put off.
    func settle() {
        channel.embeddedEventLoop.run()
    }

    /// Everything that was answered since the last call.
    func replies() -> ByteBuffer {
        var all = ByteBuffer()
        while var next = try? channel.readOutbound(as: ByteBuffer.self) { all.writeBuffer(&next) }
        return all
    }

    /// Hangs up, and says whether everything was let go of.
    func close() -> Bool {
        channel.isWritable = true
        channel.pipeline.fireChannelWritabilityChanged()
        settle()
        if channel.isActive { _ = try? channel.finish(acceptAlreadyClosed: true) }
        settle()
        return ended.isSet.load(ordering: .relaxed)
    }
}
