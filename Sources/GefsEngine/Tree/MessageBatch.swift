import GefsFormat

/// Messages on their way into a tree: in key order, at most one to a key.
///
/// Only kinds that replace everything older for their key: insert, delete, clearb and clobber.
/// A delete promises that the key is present in the tree. Filled by one thread and then only read.
final class MessageBatch {
    private var slab = ByteSlab()
    private var messages: ContiguousArray<MessageView> = []
    /// Bytes of all keys and payloads.
    private(set) var byteCount = 0

    /// An empty batch.
    init(countHint: Int = 0) {
        messages.reserveCapacity(countHint)
    }

    /// Number of messages.
    var count: Int { messages.count }

    /// What message `index` does.
    func kind(_ index: Int) -> MessageKind { messages[index].kind }

    /// The key of message `index`; valid as long as the batch.
    func key(_ index: Int) -> UnsafeRawBufferPointer { messages[index].key }

    /// The payload of message `index`; valid as long as the batch.
    func payload(_ index: Int) -> UnsafeRawBufferPointer { messages[index].payload }

    /// Message `index`; valid as long as the batch.
    func message(_ index: Int) -> MessageView { messages[index] }

    /// Adds a message, copying key and payload.
    ///
    /// - Parameters:
    ///   - kind: insert, delete, clearb or clobber.
    ///   - key: above the key of the message before.
    ///   - payload: the value of an insert, else empty.
    func append(
        kind: MessageKind, key: UnsafeRawBufferPointer, payload: UnsafeRawBufferPointer
    ) {
        precondition(
            key.count > 0 && key.count <= Geometry.posixKeyBytesMax
                && payload.count <= Geometry.valueBytesMax, "impossible message")
        assert(kind == .insert || (kind.isRemoval && payload.isEmpty))
        assert(messages.last.map { compareKeys($0.key, key) < 0 } ?? true)
        let piece = slab.allocate(key.count + payload.count)
        piece.storeBytes(of: key, at: 0)
        piece.storeBytes(of: payload, at: key.count)
        messages.append(
            MessageView(
                kind: kind, key: UnsafeRawBufferPointer(start: piece, count: key.count),
                payload: UnsafeRawBufferPointer(start: piece + key.count, count: payload.count)))
        byteCount += key.count + payload.count
    }
}
