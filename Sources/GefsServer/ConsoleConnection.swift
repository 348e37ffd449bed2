import GefsEngine
import NIOCore

/// One client of the console socket: lines of text come in, answers and prompts go out.
///
/// Lines are run one after the other on the pool for commands. Nothing more is read while a command
/// runs or the client has not taken its answer, so that a connection never holds more than one
/// answer and what was read with the line before. All state is confined to the event loop.
final class ConsoleConnection: ChannelDuplexHandler, @unchecked Sendable {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = Never
    typealias OutboundOut = ByteBuffer

    static let prompt = "gefs# "
    /// Bytes of a line; a longer one is refused and passed over.
    static let lineBytesMax = 1024
    /// Bytes of an answer, which is in memory until the client has taken it.
    static let answerBytesMax = 4 << 20

    private let handler: any ControlHandler
    private let pool: WorkerPool
    private let eventLoop: any EventLoop
    private let ended: @Sendable (ConsoleConnection) -> Void

    private var context: ChannelHandlerContext?
    private var input = ByteBuffer()
    /// The line under way is too long: everything up to its end is passed over.
    private var isPassingOver = false
    private var isRunning = false
    private var hasEnded = false
    private var isProcessing = false
    private var isReadSuppressed = false
    /// Nothing more will come.
    private var isAtEnd = false
    /// No more lines are taken: the server ends.
    private var isDraining = false
    private var isClosing = false

    init(
        handler: any ControlHandler, pool: WorkerPool, eventLoop: any EventLoop,
        ended: @escaping @Sendable (ConsoleConnection) -> Void
    ) {
        self.handler = handler
        self.pool = pool
        self.eventLoop = eventLoop
        self.ended = ended
    }

    // MARK: Channel events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        // A channel that is closed before it was active does not become inactive.
        end()
    }

    func channelActive(context: ChannelHandlerContext) {
        say(Self.prompt)
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        input.writeBuffer(&bytes)
        proceed()
    }

    func read(context: ChannelHandlerContext) {
        if mayProceed {
            context.read()
        } else {
            isReadSuppressed = true
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        eventLoop.execute { [self] in proceed() }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard let event = event as? ChannelEvent, event == .inputClosed else { return }
        isAtEnd = true
        eventLoop.execute { [self] in proceed() }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        end()
    }

    /// Once.
    private func end() {
        guard !hasEnded else { return }
        hasEnded = true
        isClosing = true
        input = ByteBuffer()
        ended(self)
    }

    // MARK: Ending

    /// Takes no more lines, and closes when the one that runs is answered.
    func beginDraining() {
        isDraining = true
        input.clear()
        proceed()
    }

    /// Closes at once, whether or not the client has taken its answer.
    func closeNow() {
        context?.close(promise: nil)
    }

    // MARK: Lines

    private var mayProceed: Bool {
        !isRunning && !isClosing && (context?.channel.isWritable ?? false)
    }

    private func proceed() {
        guard !isProcessing else { return }
        isProcessing = true
        while mayProceed, let line = nextLine() { take(line) }
        isProcessing = false
        guard mayProceed else { return }
        if isAtEnd || isDraining { return close() }
        if isReadSuppressed {
            isReadSuppressed = false
            context?.read()
        }
    }

    /// Takes a line without its end out of what was read; nil where no whole one is there.
    private func nextLine() -> Line? {
        let bytes = input.readableBytesView
        if let end = bytes.firstIndex(of: UInt8(ascii: "\n")) {
            let line = Array(bytes[..<end])
            input.moveReaderIndex(forwardBy: line.count + 1)
            input.discardReadBytes()
            let isRest = isPassingOver
            isPassingOver = false
            if isRest { return .passedOver }
            return line.count > Self.lineBytesMax ? .tooLong : .whole(line)
        }
        if isPassingOver {
            input.clear()
            return nil
        }
        if bytes.count > Self.lineBytesMax {
            input.clear()
            isPassingOver = true
            return .tooLong
        }
        guard isAtEnd, !bytes.isEmpty else { return nil }
        let line = Array(bytes)
        input.clear()
        return .whole(line)
    }

    private enum Line {
        case whole([UInt8])
        case tooLong
        /// The rest of one that was too long.
        case passedOver
    }

    private func take(_ line: Line) {
        switch line {
        case .passedOver: return
        case .tooLong: say("line too long\n" + Self.prompt)
        case .whole(var bytes):
            if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
            let isBlank = bytes.allSatisfy { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
            if isBlank { return say(Self.prompt) }
            isRunning = true
            pool.submit(Command(String(decoding: bytes, as: UTF8.self), of: self))
        }
    }

    /// A line on its way through the pool.
    private final class Command: PoolJob {
        private let line: String
        private let connection: ConsoleConnection

        init(_ line: String, of connection: ConsoleConnection) {
            self.line = line
            self.connection = connection
        }

        func run() {
            var answer = ""
            var isCut = false
            connection.handler.run(line, user: .adm) { piece in
                isCut =
                    isCut || answer.utf8.count + piece.utf8.count > ConsoleConnection.answerBytesMax
                if !isCut { answer += piece }
            }
            if isCut { answer += "the answer is too long for the console: use gefs ctl\n" }
            let text = answer
            connection.eventLoop.execute { [connection] in connection.finish(text) }
        }
    }

    private func finish(_ answer: String) {
        isRunning = false
        guard !isClosing else { return }
        say(isDraining ? answer : answer + Self.prompt)
        proceed()
    }

    private func say(_ text: String) {
        guard let context, !isClosing else { return }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
    }

    /// Closes when what was said is on its way.
    private func close() {
        guard let context, !isClosing else { return }
        isClosing = true
        context.writeAndFlush(wrapOutboundOut(ByteBuffer())).assumeIsolated().whenComplete { _ in
            context.close(promise: nil)
        }
    }
}
