/// A table of offsets and a heap of records: where nodes keep what they hold.
///
/// The table grows up from the area's start, in key order; records grow down from its end, in any
/// order. Offsets count from the area's start.
/// Source: FORMAT 6.2.
@frozen
@usableFromInline
struct RecordArea {
    /// First byte in the block.
    @usableFromInline let start: Int
    /// Size, table included.
    @usableFromInline let byteCount: Int

    @inlinable @inline(__always)
    init(start: Int, byteCount: Int) {
        self.start = start
        self.byteCount = byteCount
    }

    /// The records of a leaf.
    @inlinable static var leaf: RecordArea {
        RecordArea(start: Geometry.leafHeaderBytes, byteCount: Geometry.leafSpaceBytes)
    }

    /// The keys and children of a pivot.
    @inlinable static var pivot: RecordArea {
        RecordArea(start: Geometry.pivotHeaderBytes, byteCount: Geometry.pivotSpaceBytes)
    }

    /// The messages of a pivot.
    @inlinable static var messages: RecordArea {
        RecordArea(
            start: Geometry.pivotHeaderBytes + Geometry.pivotSpaceBytes,
            byteCount: Geometry.pivotBufferBytes)
    }

    /// The record at `index` of the table.
    @inlinable @inline(__always)
    func record(_ index: Int, in base: UnsafeRawPointer) -> UnsafeRawPointer {
        let offset = base.loadBigEndian(
            at: start &+ index &* Geometry.tableEntryBytes, as: UInt16.self)
        return base + (start &+ Int(offset))
    }
}

/// Bytes behind a 16-bit length; keys, values and payloads are stored so.
@inlinable @inline(__always)
func lengthPrefixedBytes(_ position: UnsafeRawPointer) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(
        start: position + 2, count: Int(position.loadBigEndian(at: 0, as: UInt16.self)))
}

/// What follows `bytes`, which `lengthPrefixedBytes` returned.
@inlinable @inline(__always)
func lengthPrefixedBytes(behind bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    lengthPrefixedBytes(bytes.baseAddress.unsafelyUnwrapped + bytes.count)
}

/// The headers of nodes.
///
/// Source: FORMAT 6.2.
// swift-format-ignore
@usableFromInline
enum NodeLayout {
    @inlinable static var kind: ByteField<UInt16>         { ByteField(at: 0) }
    @inlinable static var count: ByteField<UInt16>        { ByteField(after: kind) }
    @inlinable static var recordBytes: ByteField<UInt16>  { ByteField(after: count) }
    @inlinable static var messageCount: ByteField<UInt16> { ByteField(after: recordBytes) }
    @inlinable static var messageBytes: ByteField<UInt16> { ByteField(after: messageCount) }
}
