/// Lays out records in one record area: the table upwards, the heap downwards.
@frozen
@usableFromInline
struct RecordAreaBuilder {
    @usableFromInline let area: RecordArea
    @usableFromInline var count = 0
    /// Bytes of all records without the table.
    @usableFromInline var recordBytes = 0

    @inlinable
    init(_ area: RecordArea) {
        self.area = area
    }

    @inlinable var fill: Int { Geometry.tableEntryBytes &* count &+ recordBytes }

    @inlinable @inline(__always)
    func fits(byteCount: Int) -> Bool {
        fill &+ Geometry.tableEntryBytes &+ byteCount <= area.byteCount
    }

    /// Makes room for the next record and enters it into the table.
    @inlinable @inline(__always)
    mutating func reserve(
        byteCount: Int, in base: UnsafeMutableRawPointer
    ) -> UnsafeMutableRawPointer {
        precondition(fits(byteCount: byteCount), "record does not fit the node")
        recordBytes &+= byteCount
        let offset = area.byteCount &- recordBytes
        base.storeBigEndian(
            UInt16(truncatingIfNeeded: offset),
            at: area.start &+ count &* Geometry.tableEntryBytes)
        count &+= 1
        return base + (area.start &+ offset)
    }

    /// Zeros between table and heap.
    @inlinable
    func zeroSlack(in base: UnsafeMutableRawPointer) {
        base.storeZeros(
            from: area.start + count * Geometry.tableEntryBytes,
            to: area.start + area.byteCount - recordBytes)
    }
}

/// Stores `bytes` behind their 16-bit length and returns the position behind.
@inlinable @inline(__always)
func storeLengthPrefixed(
    _ bytes: UnsafeRawBufferPointer, at position: UnsafeMutableRawPointer
) -> UnsafeMutableRawPointer {
    position.storeBigEndian(UInt16(truncatingIfNeeded: bytes.count), at: 0)
    position.storeBytes(of: bytes, at: 2)
    return position + (2 &+ bytes.count)
}

/// Fills a leaf.
///
/// Records are appended in key order, each with `Geometry.recordOverheadBytes` and a table entry of
/// `Geometry.tableEntryBytes`. Source: FORMAT 6.2.
@frozen
public struct LeafBuilder {
    @usableFromInline let base: UnsafeMutableRawPointer
    @usableFromInline var records = RecordAreaBuilder(.leaf)

    /// Starts an empty leaf in 16384 bytes of memory that outlive the builder.
    @inlinable
    public init(block: UnsafeMutableRawPointer) {
        base = block
    }

    /// Number of records so far.
    @inlinable
    public var count: Int { records.count }

    /// Bytes in use so far, of `Geometry.leafSpaceBytes`.
    @inlinable
    public var fill: Int { records.fill }

    /// Whether a record of these sizes has room.
    @inlinable @inline(__always)
    public func fits(keyBytes: Int, valueBytes: Int) -> Bool {
        records.fits(byteCount: Geometry.recordOverheadBytes &+ keyBytes &+ valueBytes)
    }

    /// Adds a record that fits, with a key above all before.
    @inlinable
    public mutating func append(key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) {
        assert(key.count > 0 && key.count <= Geometry.posixKeyBytesMax)
        assert(value.count <= Geometry.valueBytesMax)
        assert(count == 0 || compareKeys(LeafView(unchecked: base).keyAtEnd(count), key) < 0)
        let byteCount = Geometry.recordOverheadBytes &+ key.count &+ value.count
        let record = records.reserve(byteCount: byteCount, in: base)
        _ = storeLengthPrefixed(value, at: storeLengthPrefixed(key, at: record))
    }

    /// Writes the header, and zeros where nothing is stored.
    ///
    /// - Returns: the leaf's fill.
    @inlinable @discardableResult
    public mutating func finish() -> Int {
        base[NodeLayout.kind] = BlockKind.leaf.rawValue
        base[NodeLayout.count] = UInt16(truncatingIfNeeded: count)
        base[NodeLayout.recordBytes] = UInt16(truncatingIfNeeded: records.recordBytes)
        records.zeroSlack(in: base)
        return fill
    }
}

extension LeafView {
    /// The last key of a leaf under construction, whose header is not written yet.
    @inlinable
    func keyAtEnd(_ count: Int) -> UnsafeRawBufferPointer {
        lengthPrefixedBytes(RecordArea.leaf.record(count - 1, in: base))
    }
}
