import NIOCore
import NineP

extension Connection {
    /// Takes up what has come, as far as limits allow.
    func process() {
        guard !isProcessing else { return }
        isProcessing = true
        defer { isProcessing = false }
        var messagesLeft = Self.messagesPerTurn
        while mayProceed {
            if messagesLeft == 0 { return continueLater() }
            do throws(ProtocolError) {
                guard var run = try assembler.nextRun(limit: frameBytesMax) else { break }
                let handledBytes = try handle(run, messagesLeft: &messagesLeft)
                run.moveReaderIndex(forwardBy: handledBytes)
                assembler.putBack(run)
            } catch {
                return drop(for: error)
            }
        }
        closeIfIdle()
    }

    /// Takes up what has come, answers, and reads on.
    func proceed() {
        process()
        flushReplies()
        closeIfIdle()
        if isReadSuppressed, mayProceed, !isContinuing {
            isReadSuppressed = false
            context?.read()
        }
    }

    /// Gives other connections of the event loop their turn.
    private func continueLater() {
        guard !isContinuing else { return }
        isContinuing = true
        eventLoop.execute { [self] in
            isContinuing = false
            proceed()
        }
    }

    /// Handles the messages of a run; says how many of its bytes they are.
    private func handle(
        _ run: ByteBuffer, messagesLeft: inout Int
    ) throws(ProtocolError) -> Int {
        var handledBytes = 0
        var failure: ProtocolError?
        run.withUnsafeReadableBytes { bytes in
            do throws(ProtocolError) {
                while messagesLeft > 0, mayProceed {
                    let rest = UnsafeRawBufferPointer(rebasing: bytes.dropFirst(handledBytes))
                    guard let frame = try Frame(firstOf: rest, limit: frameBytesMax) else {
                        return
                    }
                    messagesLeft -= 1
                    try handle(frame, from: .run(run, offset: handledBytes))
                    handledBytes += frame.byteCount
                }
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return handledBytes
    }

    /// Ends a connection whose client does not speak the protocol. Source: SEMANTICS 1.
    func drop(for error: ProtocolError) {
        environment.logger.notice("connection dropped", metadata: ["reason": "\(error)"])
        flushReplies()
        isClosing = true
        context?.close(promise: nil)
    }

    // MARK: Replies

    /// Sees to it that a reply of so many bytes can be appended without much copying.
    func makeRoom(_ byteCount: Int) {
        if replies.readableBytes > 0, replies.readableBytes + byteCount > Self.replyBytesMax {
            flushReplies()
        }
        if replies.writableBytes < byteCount {
            replies.reserveCapacity(minimumWritableBytes: byteCount)
        }
    }

    func flushReplies() {
        guard let context, phase == .serving || phase == .draining else {
            replies.clear()
            return
        }
        sendAtOnce()
        guard replies.readableBytes > 0 else {
            if hasUnflushedWrites { context.flush() }
            hasUnflushedWrites = false
            return
        }
        let written = replies
        replies = ByteBuffer()
        giveToChannel(written, context)
        hasUnflushedWrites = false
        context.flush()
    }

    /// Sends the replies when the event loop has handled what has come, with other connections'.
    func flushInTurn() {
        guard output != nil else { return flushReplies() }
        guard !isInTurn, replies.readableBytes > 0 || hasUnflushedWrites else { return }
        turn.add(self)
    }

    /// Gives the socket what it takes of the replies.
    ///
    /// Most clients take all of it; the way through the channel costs more than the system call then.
    private func sendAtOnce() {
        guard let output, maySendAtOnce else { return }
        noteSent(replies.withUnsafeReadableBytes { output.send($0) })
    }

    /// Whether there are replies that the socket may be given past the channel.
    var maySendAtOnce: Bool {
        guard let context, output != nil, channelWrites == 0, replies.readableBytes > 0 else {
            return false
        }
        // The descriptor is the channel's, and may be somebody else's when the channel is closed.
        return context.channel.isActive
    }

    func addReplies(to batch: SendBatch) {
        guard let output else { return }
        replies.withUnsafeReadableBytes { batch.add($0, to: output.descriptor) }
    }

    /// Forgets what the socket has taken.
    func noteSent(_ byteCount: Int) {
        replies.moveReaderIndex(forwardBy: byteCount)
        guard replies.readableBytes == 0 else { return }
        // A large buffer is not worth keeping.
        if replies.capacity <= 2 * Self.replyBytesMax {
            replies.clear()
        } else {
            replies = ByteBuffer()
        }
    }

    private func giveToChannel(_ reply: ByteBuffer, _ context: ChannelHandlerContext) {
        channelWrites += 1
        let written = eventLoop.makePromise(of: Void.self)
        written.futureResult.whenComplete { [self] _ in channelWrites -= 1 }
        context.write(wrapOutboundOut(reply), promise: written)
    }

    /// Adds a reply that a pool thread has made; a large one is not copied.
    func append(reply: ByteBuffer) {
        if reply.readableBytes <= ByteBuffer.smallReplyBytesMax {
            makeRoom(reply.readableBytes)
            replies.writeImmutableBuffer(reply)
        } else if let context, phase == .serving || phase == .draining {
            flushReplies()
            giveToChannel(reply, context)
            hasUnflushedWrites = true
        }
    }

    func append(_ message: some Message, tag: Tag) {
        makeRoom(ByteBuffer.smallReplyBytesMax)
        do throws(RequestError) {
            try replies.append(message, tag: tag, limit: frameBytesMax)
        } catch {
            replies.append(error, tag: tag, limit: frameBytesMax)
        }
    }

    func append(_ error: RequestError, tag: Tag) {
        makeRoom(ByteBuffer.smallReplyBytesMax)
        replies.append(error, tag: tag, limit: frameBytesMax)
    }
}
