import GefsFormat

/// What is missing of a file.
struct MissingRanges {
    /// In order and apart from each other; at most `RescuedFile.missingRangesMax`.
    private(set) var ranges: [Range<UInt64>] = []
    /// All that is missing, listed or not.
    private(set) var byteCount: UInt64 = 0

    /// Notes a range; ranges come in order but for those of older layers.
    mutating func add(_ range: Range<UInt64>) {
        guard !range.isEmpty else { return }
        byteCount += UInt64(range.count)
        if let last = ranges.last, last.upperBound == range.lowerBound {
            ranges[ranges.count - 1] = last.lowerBound..<range.upperBound
        } else if ranges.count < RescuedFile.missingRangesMax {
            ranges.append(range)
        }
    }

    mutating func sort() {
        ranges.sort { $0.lowerBound < $1.lowerBound }
    }
}

/// Reads the data of files, each block verified by the pointer to it.
///
/// All of a file comes from one state of it. An older layer fills a gap only where the file's entry
/// there is the same, version and time included: then nothing was written in between.
final class RescuedData {
    typealias Handler = (UnsafeRawBufferPointer, UInt64) throws(RescueError) -> Void

    private static let blockBytes = UInt64(Geometry.blockBytes)
    /// Blocks that one read covers.
    private static let runBlocksMax = 64

    private let rescue: Rescue
    let tree: LayeredTree
    private let buffer: UnsafeMutableRawBufferPointer
    /// Bytes of files that were verified and handed out.
    private(set) var bytesDone: UInt64 = 0

    init(_ rescue: Rescue, _ tree: LayeredTree) {
        self.rescue = rescue
        self.tree = tree
        buffer = .allocate(
            byteCount: Self.runBlocksMax * Geometry.blockBytes, alignment: Geometry.blockBytes)
    }

    deinit {
        buffer.deallocate()
    }

    /// Blocks that lie behind one another in the file and on the device.
    private struct Run {
        var offset: UInt64
        var place: UInt64
        var hashes: [UInt64]
    }

    /// Hands out what is there of a file.
    ///
    /// - Parameters:
    ///   - entry: the file.
    ///   - key: the entry's key, for the comparison with older layers; nil for none.
    ///   - layer: the layer that the entry is from.
    ///   - body: called with bytes and their offset in the file.
    /// - Returns: what is missing.
    func read(
        _ entry: DirectoryEntry, _ key: Key?, layer first: Int, _ body: Handler
    ) throws(RescueError) -> MissingRanges {
        var missing = MissingRanges()
        let length = UInt64(clamping: entry.length)
        guard length > 0 else { return missing }
        let qid = entry.qidPath
        let range = KeySpan(
            low: Key.data(qid, offset: 0).bytes, high: Key.data(qid, offset: length).bytes)
        var run: Run?
        let unknown = try tree.read(range, from: first) { (layer) throws(RescueError) in
            guard layer != first else { return true }
            guard let key, let value = try tree.value(of: key, in: layer) else { return false }
            return value.withUnsafeBytes { bytes in
                (try? DirectoryEntry(decoding: bytes)).map { Self.isSame($0, entry) } ?? false
            }
        } _: { (_, key, value) throws(RescueError) in
            guard case .data(_, let offset)? = try? DecodedKey(key),
                offset.isMultiple(of: Self.blockBytes), let base = value.baseAddress,
                value.count == BlockPointer.byteCount
            else { return }
            let pointer = BlockPointer(decoding: base)
            guard let place = rescue.found.place(of: pointer.address) else {
                missing.add(offset..<min(length, offset + Self.blockBytes))
                return
            }
            if let open = run {
                let bytes = UInt64(open.hashes.count) * Self.blockBytes
                if open.hashes.count < Self.runBlocksMax, open.offset + bytes == offset,
                    open.place + bytes == place
                {
                    run?.hashes.append(pointer.hash)
                    return
                }
                try hand(out: open, length, &missing, body)
            }
            run = Run(offset: offset, place: place, hashes: [pointer.hash])
        }
        if let run { try hand(out: run, length, &missing, body) }
        for range in unknown {
            let low = Self.offset(of: range.low, qid, length)
            let high = range.high.map { Self.offset(of: $0, qid, length) } ?? length
            if low < high { missing.add(low..<high) }
        }
        missing.sort()
        return missing
    }

    /// Whether a file is the same in two states: what a write would have changed is equal.
    private static func isSame(_ left: DirectoryEntry, _ right: DirectoryEntry) -> Bool {
        left.qidPath == right.qidPath && left.qidVersion == right.qidVersion
            && left.length == right.length && left.modificationTime == right.modificationTime
            && left.muid == right.muid && left.mode == right.mode
    }

    /// The offset of the first block whose key is not below a key, at most the file's length.
    private static func offset(of key: [UInt8], _ qid: UInt64, _ length: UInt64) -> UInt64 {
        let prefix = Key.dataPrefix(qid).bytes
        guard key.starts(with: prefix) else {
            return KeySpan.isBelow(key, prefix) ? 0 : length
        }
        let digits = key[prefix.count...]
        var offset: UInt64 = 0
        for index in 0..<8 {
            let digit = index < digits.count ? digits[prefix.count + index] : 0
            offset = offset << 8 | UInt64(digit)
        }
        guard offset < length else { return length }
        let isAbove = digits.count > 8 || !offset.isMultiple(of: blockBytes)
        return min(length, offset / blockBytes * blockBytes + (isAbove ? blockBytes : 0))
    }

    private func hand(
        out run: Run, _ length: UInt64, _ missing: inout MissingRanges, _ body: Handler
    ) throws(RescueError) {
        let blockBytes = Geometry.blockBytes
        let part = UnsafeMutableRawBufferPointer(
            rebasing: buffer[..<(run.hashes.count * blockBytes)])
        let isRead = read(part, at: run.place)
        // From the first to the last block of a stretch of good ones.
        var good = 0..<0
        for index in run.hashes.indices {
            let block = UnsafeMutableRawBufferPointer(
                rebasing: part[index * blockBytes..<(index + 1) * blockBytes])
            // Which blocks of a run are bad shows when they are read one by one.
            let isThere =
                isRead || read(block, at: run.place + UInt64(index * blockBytes))
            if isThere, MetroHash64.hash(UnsafeRawBufferPointer(block)) == run.hashes[index] {
                good = (good.isEmpty ? index : good.lowerBound)..<index + 1
                continue
            }
            try hand(out: good, of: run, part, length, body)
            good = index + 1..<index + 1
            let offset = run.offset + UInt64(index * blockBytes)
            missing.add(offset..<min(length, offset + UInt64(blockBytes)))
        }
        try hand(out: good, of: run, part, length, body)
    }

    private func hand(
        out blocks: Range<Int>, of run: Run, _ part: UnsafeMutableRawBufferPointer,
        _ length: UInt64, _ body: Handler
    ) throws(RescueError) {
        guard !blocks.isEmpty else { return }
        let start = blocks.lowerBound * Geometry.blockBytes
        let offset = run.offset + UInt64(start)
        let end = min(UInt64(blocks.upperBound * Geometry.blockBytes), length - run.offset)
        bytesDone += end - UInt64(start)
        try body(UnsafeRawBufferPointer(rebasing: part[start..<Int(end)]), offset)
    }

    private func read(_ buffer: UnsafeMutableRawBufferPointer, at place: UInt64) -> Bool {
        let (end, overflow) = place.addingReportingOverflow(UInt64(buffer.count))
        guard !overflow, end <= rescue.device.byteCount else { return false }
        return (try? rescue.device.read(at: place, into: buffer)) != nil
    }
}
