import GefsFormat

/// A tree node whose records were found to lie within the block, and nothing more.
///
/// Unlike the views of `GefsFormat` it can be used on nodes that break every other rule, which is
/// what a checker has to look at. It never reads out of bounds.
/// Source: FORMAT 6.2.
struct NodeScan {
    // swift-format-ignore
    private enum Layout {
        static let kind         = 0
        static let count        = 2
        static let recordBytes  = 4
        static let messageCount = 6
        static let messageBytes = 8
    }

    /// A table of offsets and the records they lead to.
    private struct Area {
        let start: Int
        let byteCount: Int
        /// Bytes of a record before the length of its key.
        let prefixBytes: Int

        /// The end of a record: two byte strings, each behind its length. `nil` when it reaches
        /// past the end of the area.
        func end(ofRecordAt start: Int, in heap: UnsafeRawPointer) -> Int? {
            var end = start + prefixBytes
            for _ in 0..<2 {
                guard end + 2 <= byteCount else { return nil }
                end += 2 + Int(heap.loadBigEndian(at: end, as: UInt16.self))
            }
            return end <= byteCount ? end : nil
        }

        static let leaf = Area(
            start: Geometry.leafHeaderBytes, byteCount: Geometry.leafSpaceBytes, prefixBytes: 0)
        static let children = Area(
            start: Geometry.pivotHeaderBytes, byteCount: Geometry.pivotSpaceBytes, prefixBytes: 0)
        static let messages = Area(
            start: Geometry.pivotHeaderBytes + Geometry.pivotSpaceBytes,
            byteCount: Geometry.pivotBufferBytes, prefixBytes: 1)
    }

    private let base: UnsafeRawPointer
    /// Whether it is a leaf; else it is a pivot.
    let isLeaf: Bool
    /// Records of a leaf, children of a pivot.
    let count: Int
    /// Messages of a pivot.
    let messageCount: Int
    /// Bytes in use, as parents state it.
    let fill: Int

    /// Looks over a whole block, whose memory has to live as long as this.
    ///
    /// - Throws: why the records cannot be found.
    init(_ base: UnsafeRawPointer) throws(CorruptBlock.Reason) {
        func number(_ offset: Int) -> Int {
            Int(base.loadBigEndian(at: offset, as: UInt16.self))
        }
        let kind = UInt16(number(Layout.kind))
        guard kind == BlockKind.leaf.rawValue || kind == BlockKind.pivot.rawValue else {
            throw .notNode(kind: kind)
        }
        self.base = base
        isLeaf = kind == BlockKind.leaf.rawValue
        count = number(Layout.count)
        let recordBytes = number(Layout.recordBytes)
        try Self.scan(isLeaf ? .leaf : .children, base, count, recordBytes)
        if isLeaf {
            messageCount = 0
            fill = Geometry.tableEntryBytes * count + recordBytes
        } else {
            messageCount = number(Layout.messageCount)
            let messageBytes = number(Layout.messageBytes)
            try Self.scan(.messages, base, messageCount, messageBytes)
            fill =
                Geometry.tableEntryBytes * (count + messageCount) + recordBytes + messageBytes
        }
    }

    private static func scan(
        _ area: Area, _ base: UnsafeRawPointer, _ count: Int, _ recordBytes: Int
    ) throws(CorruptBlock.Reason) {
        let heapStart = area.byteCount - recordBytes
        guard Geometry.tableEntryBytes * count <= heapStart else {
            throw .areaOverflow(count: count, byteCount: recordBytes, areaBytes: area.byteCount)
        }
        let heap = base + area.start
        var total = 0
        for index in 0..<count {
            let start = Int(
                heap.loadBigEndian(at: index * Geometry.tableEntryBytes, as: UInt16.self))
            guard start >= heapStart, let end = area.end(ofRecordAt: start, in: heap) else {
                throw .recordOutside(
                    index: index, offset: start, heapStart: heapStart, areaBytes: area.byteCount)
            }
            total += end - start
        }
        guard total == recordBytes else {
            throw .recordBytes(found: total, expected: recordBytes)
        }
    }

    @inline(__always)
    private func record(_ area: Area, _ index: Int) -> UnsafeRawPointer {
        let heap = base + area.start
        return heap
            + Int(heap.loadBigEndian(at: index &* Geometry.tableEntryBytes, as: UInt16.self))
    }

    @inline(__always)
    private func bytes(_ position: UnsafeRawPointer) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(
            start: position + 2, count: Int(position.loadBigEndian(at: 0, as: UInt16.self)))
    }

    @inline(__always)
    private func bytes(behind bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        self.bytes(bytes.baseAddress.unsafelyUnwrapped + bytes.count)
    }

    /// The whole block.
    var block: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: base, count: Geometry.blockBytes)
    }

    /// The key of a record or child.
    @inline(__always)
    func key(_ index: Int) -> UnsafeRawBufferPointer {
        bytes(record(isLeaf ? .leaf : .children, index))
    }

    /// What follows a key returned by `key` or `messageKey`: value or payload.
    @inline(__always)
    func value(behind key: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        bytes(behind: key)
    }

    /// A child's pointer and fill; `nil` when the value has the wrong size.
    func child(_ index: Int) -> (pointer: BlockPointer, fill: Int)? {
        let value = bytes(behind: key(index))
        guard value.count == Geometry.pivotValueBytes, let base = value.baseAddress else {
            return nil
        }
        return (
            BlockPointer(decoding: base),
            Int(base.loadBigEndian(at: BlockPointer.byteCount, as: UInt16.self))
        )
    }

    /// The number of a message's kind.
    @inline(__always)
    func messageKind(_ index: Int) -> UInt8 {
        record(.messages, index).load(as: UInt8.self)
    }

    /// The key of a message.
    @inline(__always)
    func messageKey(_ index: Int) -> UnsafeRawBufferPointer {
        bytes(record(.messages, index) + Area.messages.prefixBytes)
    }

    /// All bytes of a message: kind, key and payload.
    func message(_ index: Int) -> UnsafeRawBufferPointer {
        let start = record(.messages, index)
        let payload = bytes(behind: messageKey(index))
        let end = payload.baseAddress.unsafelyUnwrapped + payload.count
        return UnsafeRawBufferPointer(start: start, count: end - start)
    }
}
