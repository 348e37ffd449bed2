/// A leaf that has passed `NodeCheck`: keys and their values in key order.
///
/// All that it returns lies in the block's memory, which has to outlive it.
/// Source: FORMAT 6.2.
@frozen
public struct LeafView: @unchecked Sendable {
    // Sendable: a block's memory does not change once it was checked.

    /// The block.
    public let base: UnsafeRawPointer

    /// Reads a block that `NodeCheck` found to be a leaf, or that `LeafBuilder` finished.
    @inlinable @inline(__always)
    public init(unchecked base: UnsafeRawPointer) {
        self.base = base
    }

    /// Number of records, at least 1.
    @inlinable
    public var count: Int { Int(base[NodeLayout.count]) }

    /// Bytes of all records without the table.
    @inlinable
    public var recordBytes: Int { Int(base[NodeLayout.recordBytes]) }

    /// Bytes in use, as parents state it.
    @inlinable
    public var fill: Int { Geometry.tableEntryBytes &* count &+ recordBytes }

    /// The key of record `index`.
    @inlinable @inline(__always)
    public func key(_ index: Int) -> UnsafeRawBufferPointer {
        assert(index >= 0 && index < count)
        return lengthPrefixedBytes(RecordArea.leaf.record(index, in: base))
    }

    /// The value of record `index`.
    @inlinable @inline(__always)
    public func value(_ index: Int) -> UnsafeRawBufferPointer {
        lengthPrefixedBytes(behind: key(index))
    }

    /// The place of `key`: the first record that is not below it, `count` if there is none, and
    /// whether that record has this very key.
    @inlinable
    public func search(_ key: UnsafeRawBufferPointer) -> (index: Int, found: Bool) {
        var low = 0
        var high = count
        while low < high {
            let middle = (low &+ high) &>> 1
            let order = compareKeys(self.key(middle), key)
            if order == 0 { return (middle, true) }
            if order < 0 { low = middle &+ 1 } else { high = middle }
        }
        return (low, false)
    }
}
