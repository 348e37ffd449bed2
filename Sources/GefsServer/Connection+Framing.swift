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
        guard replies.readableBytes > 0 else {
            if hasUnflushedWrites { context.flush() }
            hasUnflushedWrites = false
            return
        }
        hasUnflushedWrites = false
        var written = replies
        replies = ByteBuffer()
        context.writeAndFlush(wrapOutboundOut(written), promise: nil)
        // Keeps the memory where the channel has let go of it; a large one is not worth keeping.
        if replies.capacity == 0, written.capacity <= 2 * Self.replyBytesMax {
            written.clear()
            replies = written
        }
    }

    /// Adds a reply that a pool thread has made; a large one is not copied.
    func append(reply: ByteBuffer) {
        if reply.readableBytes <= ByteBuffer.smallReplyBytesMax {
            makeRoom(reply.readableBytes)
            replies.writeImmutableBuffer(reply)
        } else if let context, phase == .serving || phase == .draining {
            flushReplies()
            context.write(wrapOutboundOut(reply), promise: nil)
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
