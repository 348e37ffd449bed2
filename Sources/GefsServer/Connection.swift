import GefsEngine
import Logging
import NIOCore
import NineP
import Synchronization

/// One client: its session, its fids, and the requests under way.
///
/// Every request is tried on the event loop first; what would wait goes to a pool and comes back
/// through `complete`. Replies leave together, one write for all requests that one read brought, and
/// one system call for all connections of an event loop that had something to answer.
///
/// Invariants:
/// - all state but `completions` is confined to the channel's event loop;
/// - `outstanding` holds every request that was not answered, under its tag; each of them waits in the
///   queue of one fid, or is with a pool and holds its fid;
/// - no fid is closed while a request holds it;
/// - nothing is read while limits of outstanding requests are reached or replies are not taken;
/// - a reply goes past the channel only while the channel has none to send;
/// - events that a write may cause while a request is handled only note what happened, and act in the
///   event loop's next turn.
final class Connection: ChannelDuplexHandler, @unchecked Sendable {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = Never
    typealias OutboundOut = ByteBuffer

    /// What a connection is given by its server.
    struct Environment: Sendable {
        var pools: RequestPools
        var messageBytesMax: Int
        var outstandingRequestsMax: Int
        var outstandingBytesMax: Int
        var fidsMax: Int
        var fidsTotalMax: Int
        var outstandingBytesTotalMax: Int
        var sessionPatience: TimeAmount?
        var limits: SharedLimits
        var logger: Logger
        var ended: @Sendable (Connection) -> Void
    }

    enum Phase {
        case serving
        /// No new requests; closes when those under way are answered.
        case draining
        /// The channel is gone; requests under way finish unanswered.
        case closed
        /// The fids are closed too.
        case ended
    }

    let executor: RequestExecutor
    let environment: Environment
    let eventLoop: any EventLoop
    /// With which other connections' replies this one's are sent.
    let turn: ReplyTurn
    let completions = Mutex<[PendingRequest]>([])

    var context: ChannelHandlerContext?
    var phase = Phase.serving
    /// Bytes of a message as agreed on; nil before a Tversion succeeded.
    var messageBytesMax: Int?
    var fids: [FidNumber: Fid] = [:] {
        didSet {
            guard fids.count != countedFids else { return }
            environment.limits.fidCount.add(fids.count - countedFids, ordering: .relaxed)
            countedFids = fids.count
        }
    }
    /// How many of the fids are in the count of all connections.
    private var countedFids = 0
    var outstanding: [Tag: PendingRequest] = [:]
    var outstandingBytes = 0 {
        didSet {
            environment.limits.outstandingBytes.add(
                outstandingBytes - oldValue, ordering: .relaxed)
        }
    }
    /// Tflush messages that wait for a request, by their own tags.
    var waitingFlushes: [Tag: PendingRequest] = [:]
    /// A Tversion that waits for the end of the session before.
    var pendingVersion: PendingVersion?

    var assembler = FrameAssembler()
    /// Replies not written yet.
    var replies = ByteBuffer()
    /// Where replies go at once; nil where the channel is no socket.
    var output: SocketOutput?
    /// The turn is going to send the replies.
    var isInTurn = false
    /// Writes that the channel was given and has not ended: nothing may overtake them.
    var channelWrites = 0
    /// Replies were given to the channel that it was not told to send yet.
    var hasUnflushedWrites = false
    var isProcessing = false
    /// Whole messages may be left for another turn of the event loop.
    var isContinuing = false
    var isWritable = true
    var isReadSuppressed = false
    var closesWhenIdle = false
    var isClosing = false

    /// Replies gather up to this many bytes before they are written.
    static let replyBytesMax = 128 << 10
    /// Messages handled before other connections get their turn.
    static let messagesPerTurn = 512

    init(executor: RequestExecutor, environment: Environment, turn: ReplyTurn) {
        self.executor = executor
        self.environment = environment
        self.turn = turn
        eventLoop = turn.eventLoop
    }

    /// Largest message accepted now.
    var frameBytesMax: Int { messageBytesMax ?? WireLimits.unnegotiatedMessageBytesMax }

    /// Whether another request can be taken up.
    var mayProceed: Bool {
        phase == .serving && isWritable && pendingVersion == nil && !isClosing
            && outstanding.count + waitingFlushes.count < environment.outstandingRequestsMax
            && outstandingBytes < environment.outstandingBytesMax
            && (outstanding.isEmpty
                || environment.limits.outstandingBytes.load(ordering: .relaxed)
                    < environment.outstandingBytesTotalMax)
    }

    /// Whether another fid can be made.
    var hasRoomForFid: Bool {
        guard fids.count < environment.fidsMax else { return false }
        return fids.count < ServerConfiguration.fidsAssured
            || environment.limits.fidCount.load(ordering: .relaxed) < environment.fidsTotalMax
    }

    // MARK: Channel events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        output = SocketOutput(of: context.channel)
        guard let patience = environment.sessionPatience else { return }
        eventLoop.scheduleTask(in: patience) { [weak self] in self?.endIfSilent() }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        // A channel that is closed before it was active does not become inactive.
        channelIsGone()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard phase == .serving else { return }
        assembler.receive(unwrapInboundIn(data))
        process()
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        flushInTurn()
    }

    /// Lets the channel read only while requests can be taken up.
    func read(context: ChannelHandlerContext) {
        if mayProceed && !isContinuing {
            context.read()
        } else {
            isReadSuppressed = true
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        isWritable = context.channel.isWritable
        if isWritable { eventLoop.execute { [self] in proceed() } }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed {
            closesWhenIdle = true
            eventLoop.execute { [self] in proceed() }
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        environment.logger.debug("connection failed", metadata: ["error": "\(error)"])
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        channelIsGone()
    }

    private func channelIsGone() {
        guard phase != .closed, phase != .ended else { return }
        phase = .closed
        eventLoop.execute { [self] in
            replies = ByteBuffer()
            assembler = FrameAssembler()
            endIfIdle()
        }
    }
}

/// The threads that requests are handed to.
struct RequestPools: Sendable {
    let device: WorkerPool
    let control: WorkerPool
    let sync: SyncQueue

    func submit(_ request: PendingRequest) {
        switch request.lane {
        case .device: device.submit(request)
        case .control: control.submit(request)
        case .sync: sync.submit(request)
        }
    }

    /// Waits until all of them are idle and ends their threads.
    func shutDown() {
        device.shutDown()
        control.shutDown()
        sync.shutDown()
    }
}
