import GefsFormat

/// Messages for one update of a tree: in key order, at most one a key.
///
/// Keys and payloads are not copied: the batch keeps the memory they lie in.
final class MessageBatch {
    private(set) var messages: [MessageView] = []
    private var owners: [AnyObject] = []
    private var slabs: [UnsafeMutableRawBufferPointer] = []

    var count: Int { messages.count }

    init(capacity: Int = 0) {
        messages.reserveCapacity(capacity)
    }

    deinit {
        for slab in slabs { slab.deallocate() }
    }

    /// Adds a message whose bytes live as long as the objects that are kept.
    func append(_ message: MessageView) {
        assert(messages.last.map { compareKeys($0.key, message.key) < 0 } ?? true)
        messages.append(message)
    }

    /// Keeps an object whose memory messages lie in.
    func keep(_ owner: AnyObject) {
        owners.append(owner)
    }

    /// Memory that lives as long as the batch.
    func allocate(_ byteCount: Int) -> UnsafeMutableRawBufferPointer {
        let slab = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, byteCount), alignment: 8)
        slabs.append(slab)
        return slab
    }

    /// Adds a copy of a message.
    func append(
        _ kind: MessageKind, key: UnsafeRawBufferPointer, payload: UnsafeRawBufferPointer
    ) {
        let space = allocate(key.count + payload.count)
        space.copyMemory(from: key)
        UnsafeMutableRawBufferPointer(rebasing: space[key.count...]).copyMemory(from: payload)
        append(
            MessageView(
                kind: kind, key: UnsafeRawBufferPointer(rebasing: space[..<key.count]),
                payload: UnsafeRawBufferPointer(
                    rebasing: space[key.count..<(key.count + payload.count)])))
    }
}
