/// A record area after its table and all its records were found to be within it.
struct CheckedArea {
    private let area: RecordArea
    private let base: UnsafeRawPointer
    private let prefixBytes: Int
    let count: Int

    /// Checks that table and heap fit the area, that each record lies in the heap, and that the
    /// heap is just the records.
    ///
    /// - Parameter prefixBytes: bytes of a record before the length of its key.
    init(
        _ area: RecordArea, _ base: UnsafeRawPointer, count: Int, recordBytes: Int,
        prefixBytes: Int
    ) throws(CorruptBlock.Reason) {
        guard Geometry.tableEntryBytes * count + recordBytes <= area.byteCount else {
            throw .areaOverflow(
                count: count, byteCount: recordBytes, areaBytes: area.byteCount)
        }
        self.area = area
        self.base = base
        self.prefixBytes = prefixBytes
        self.count = count
        let heapStart = area.byteCount - recordBytes
        var foundBytes = 0
        // In a heap without gaps each record ends where another one starts: over all starts and
        // ends only the ends of the heap are left.
        var edges = heapStart ^ area.byteCount
        for index in 0..<count {
            let start = Int(
                base.loadBigEndian(
                    at: area.start + index * Geometry.tableEntryBytes, as: UInt16.self))
            guard let end = end(of: start), start >= heapStart else {
                throw .recordOutside(
                    index: index, offset: start, heapStart: heapStart, areaBytes: area.byteCount)
            }
            foundBytes += end - start
            edges ^= start ^ end
        }
        guard foundBytes == recordBytes else {
            throw .recordBytes(found: foundBytes, expected: recordBytes)
        }
        guard edges == 0 else { throw .recordOverlap }
    }

    /// The end of the record at `start`, unless it reaches past the area's.
    private func end(of start: Int) -> Int? {
        let keyLength = start + prefixBytes
        guard keyLength + 2 <= area.byteCount else { return nil }
        let keyBytes = Int(base.loadBigEndian(at: area.start + keyLength, as: UInt16.self))
        let valueLength = keyLength + 2 + keyBytes
        guard valueLength + 2 <= area.byteCount else { return nil }
        let valueBytes = Int(base.loadBigEndian(at: area.start + valueLength, as: UInt16.self))
        let end = valueLength + 2 + valueBytes
        return end <= area.byteCount ? end : nil
    }

    /// Key and value of a record.
    func record(_ index: Int) -> (key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) {
        let key = lengthPrefixedBytes(area.record(index, in: base) + prefixBytes)
        return (key, lengthPrefixedBytes(behind: key))
    }

    /// The first byte of a record.
    func prefix(_ index: Int) -> UInt8 {
        area.record(index, in: base).load(as: UInt8.self)
    }
}
