/// A message in a pivot's buffer; its parts lie in the block's memory.
///
/// Source: FORMAT 6.2 and 6.4.
@frozen
public struct MessageView: @unchecked Sendable {
    /// What it does.
    public let kind: MessageKind
    /// What it does it to.
    public let key: UnsafeRawBufferPointer
    /// What it does it with.
    public let payload: UnsafeRawBufferPointer

    /// A message made of its parts.
    @inlinable @inline(__always)
    public init(kind: MessageKind, key: UnsafeRawBufferPointer, payload: UnsafeRawBufferPointer) {
        self.kind = kind
        self.key = key
        self.payload = payload
    }
}

/// A pivot that has passed `NodeCheck`: children by their first key, and a buffer of messages that
/// are on their way down.
///
/// All that it returns lies in the block's memory, which has to outlive it.
/// Source: FORMAT 6.2.
@frozen
public struct PivotView: @unchecked Sendable {
    // Sendable: a block's memory does not change once it was checked.

    /// The block.
    public let base: UnsafeRawPointer

    /// Reads a block that `NodeCheck` found to be a pivot, or that `PivotBuilder` finished.
    @inlinable @inline(__always)
    public init(unchecked base: UnsafeRawPointer) {
        self.base = base
    }

    /// Number of children, at least 1.
    @inlinable
    public var childCount: Int { Int(base[NodeLayout.count]) }

    /// Bytes of the entries of all children without the table.
    @inlinable
    public var childBytes: Int { Int(base[NodeLayout.recordBytes]) }

    /// Number of messages.
    @inlinable
    public var messageCount: Int { Int(base[NodeLayout.messageCount]) }

    /// Bytes of all messages without the table.
    @inlinable
    public var messageBytes: Int { Int(base[NodeLayout.messageBytes]) }

    /// Bytes in use, as parents state it.
    @inlinable
    public var fill: Int {
        Geometry.tableEntryBytes &* (childCount &+ messageCount) &+ childBytes &+ messageBytes
    }

    /// The lowest key of child `index`.
    @inlinable @inline(__always)
    public func key(_ index: Int) -> UnsafeRawBufferPointer {
        assert(index >= 0 && index < childCount)
        return lengthPrefixedBytes(RecordArea.pivot.record(index, in: base))
    }

    /// Where child `index` lies.
    @inlinable @inline(__always)
    public func pointer(_ index: Int) -> BlockPointer {
        let value = lengthPrefixedBytes(behind: key(index))
        return BlockPointer(decoding: value.baseAddress.unsafelyUnwrapped)
    }

    /// Bytes in use in child `index`.
    @inlinable @inline(__always)
    public func childFill(_ index: Int) -> Int {
        let value = lengthPrefixedBytes(behind: key(index)).baseAddress.unsafelyUnwrapped
        return Int(value.loadBigEndian(at: BlockPointer.byteCount, as: UInt16.self))
    }

    /// The child that `key` belongs to: the last whose lowest key is not above it, and the first
    /// for keys below all.
    @inlinable
    public func childIndex(for key: UnsafeRawBufferPointer) -> Int {
        // The first child takes what is below it, so its own key is never looked at.
        var low = 1
        var high = childCount
        while low < high {
            let middle = (low &+ high) &>> 1
            if compareKeys(self.key(middle), key) <= 0 {
                low = middle &+ 1
            } else {
                high = middle
            }
        }
        return low &- 1
    }

    /// Message `index`, by key and for one key oldest first.
    @inlinable @inline(__always)
    public func message(_ index: Int) -> MessageView {
        assert(index >= 0 && index < messageCount)
        let record = RecordArea.messages.record(index, in: base)
        let key = lengthPrefixedBytes(record + 1)
        return MessageView(
            // The check let known kinds pass only.
            kind: MessageKind(rawValue: record.load(as: UInt8.self)).unsafelyUnwrapped,
            key: key, payload: lengthPrefixedBytes(behind: key))
    }

    /// The key of message `index`.
    @inlinable @inline(__always)
    public func messageKey(_ index: Int) -> UnsafeRawBufferPointer {
        assert(index >= 0 && index < messageCount)
        return lengthPrefixedBytes(RecordArea.messages.record(index, in: base) + 1)
    }

    /// The first message whose key is not below `key`, or `messageCount`.
    @inlinable
    public func firstMessage(notBelow key: UnsafeRawBufferPointer) -> Int {
        var low = 0
        var high = messageCount
        while low < high {
            let middle = (low &+ high) &>> 1
            if compareKeys(messageKey(middle), key) < 0 {
                low = middle &+ 1
            } else {
                high = middle
            }
        }
        return low
    }
}
