import NIOCore

/// The replies that one turn of an event loop has made for several connections, sent at its end.
///
/// A reply wakes its client. On a busy processor the scheduler may let the client run at once, and
/// sending to one after the other then changes threads for every reply. In one call all clients wake
/// before any of them runs.
///
/// Confined to the event loop.
final class ReplyTurn: @unchecked Sendable {
    let eventLoop: any EventLoop
    private var connections: [Connection] = []
    /// Empty but while a turn ends; keeps its memory.
    private var ending: [Connection] = []
    private var byteCount = 0
    private var hasScheduledEnd = false
    /// Who was answered last.
    private var last: ObjectIdentifier?
    private var batch: SendBatch?
    /// The system was asked for a batch, and has none.
    private var hasNoBatch = false

    /// Replies do not wait for each other beyond this: it is what is sent soon anyway.
    static let bytesMax = 64 << 10

    init(_ eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    /// Sees to it that the connection's replies are sent.
    func add(_ connection: Connection) {
        // Who was the last one, too, has the loop to itself: there is nobody to send with.
        let isAlone = connections.isEmpty && last == ObjectIdentifier(connection)
        last = ObjectIdentifier(connection)
        if isAlone { return connection.flushReplies() }
        connection.isInTurn = true
        connections.append(connection)
        byteCount += connection.replies.readableBytes
        if connections.count == SendBatch.messagesMax || byteCount >= Self.bytesMax {
            end()
        } else if !hasScheduledEnd {
            hasScheduledEnd = true
            // Runs when the turn's events have been handled.
            eventLoop.execute { [self] in
                hasScheduledEnd = false
                end()
            }
        }
    }

    private func end() {
        swap(&connections, &ending)
        byteCount = 0
        for connection in ending { connection.isInTurn = false }
        if ending.count > 1 { sendTogether() }
        for connection in ending { connection.flushReplies() }
        ending.removeAll(keepingCapacity: true)
    }

    /// Sends what is short; the rest is left to each connection.
    private func sendTogether() {
        if batch == nil, !hasNoBatch {
            batch = SendBatch()
            hasNoBatch = batch == nil
        }
        guard let batch else { return }
        let short = ending.filter {
            $0.maySendAtOnce && $0.replies.readableBytes <= SendBatch.messageBytesMax
        }
        for connection in short { connection.addReplies(to: batch) }
        let isUsable = batch.send { index, byteCount in short[index].noteSent(byteCount) }
        if !isUsable {
            self.batch = nil
            hasNoBatch = true
        }
    }
}
