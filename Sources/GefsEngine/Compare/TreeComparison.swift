import GefsFormat

/// The differences between two file trees of one disk, file by file.
///
/// Costs are those of `TreeDelta`: proportional to what differs. Both trees must stay allocated
/// meanwhile. Configuration keys, and data that no entry refers to, are no part of it.
struct TreeComparison<Source: NodeSource> {
    let old: TreeRoot
    let new: TreeRoot
    let source: Source

    private var delta: TreeDelta<Source> { TreeDelta(old: old, new: new, source: source) }

    // MARK: Entries

    /// Passes each file whose entry or place differs, until `body` returns false.
    ///
    /// The order is that of the entries' keys: by directory, and within one as it is listed. A moved
    /// file comes when the second of its places is met. Runs over the difference twice: first to
    /// learn which files have moved, so that all others need not be remembered.
    ///
    /// A file whose entry is the same in both trees has the same contents, where one tree is a later
    /// state of the other: every change of the contents changes the entry's version. Where both have
    /// gone on from a common ancestor, entries could be made equal on purpose; `forEachDataFile`
    /// tells.
    func forEachEntry(
        _ body: (EntryDifference) throws(FileError) -> Bool
    ) throws(FileError) {
        let moved = try movedFiles()
        // Halves of moves whose other half has not been met.
        var halves: [UInt64: EntryDifference] = [:]
        try delta.forEach(prefix: .prefix(.entry)) { (item) throws(FileError) -> Bool in
            let before = try place(item.key, item.old, in: old)
            let after = try place(item.key, item.new, in: new)
            if let before, let after, before.entry.qidPath == after.entry.qidPath {
                return try body(
                    EntryDifference(qid: before.entry.qidPath, old: before, new: after))
            }
            for (before, after) in [(before, nil), (nil, after)] {
                guard let qid = (before ?? after)?.entry.qidPath else { continue }
                var difference = EntryDifference(qid: qid, old: before, new: after)
                if moved.contains(qid) {
                    guard let half = halves.removeValue(forKey: qid) else {
                        halves[qid] = difference
                        continue
                    }
                    difference = EntryDifference(
                        qid: qid, old: before ?? half.old, new: after ?? half.new)
                }
                guard try body(difference) else { return false }
            }
            return true
        }
    }

    /// Files that one tree has in one place and the other one in another.
    private func movedFiles() throws(FileError) -> Set<UInt64> {
        var gone: [UInt64] = []
        var come: Set<UInt64> = []
        try delta.forEach(prefix: .prefix(.entry)) { (item) throws(FileError) -> Bool in
            let before = try item.old.map { (value) throws(FileError) in
                try entry(value, in: old).qidPath
            }
            let after = try item.new.map { (value) throws(FileError) in
                try entry(value, in: new).qidPath
            }
            if before == after { return true }
            if let before { gone.append(before) }
            if let after { come.insert(after) }
            return true
        }
        return come.intersection(gone)
    }

    private func place(
        _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer?, in root: TreeRoot
    ) throws(FileError) -> EntryDifference.Place? {
        guard let value else { return nil }
        guard let key = EntryKeyView(key) else {
            throw .badRecord(.size(found: key.count, expected: 0), root: root.pointer.address)
        }
        return EntryDifference.Place(
            parent: key.parent, name: Array(key.name), entry: try entry(value, in: root))
    }

    private func entry(
        _ value: UnsafeRawBufferPointer, in root: TreeRoot
    ) throws(FileError) -> DirectoryEntry {
        do throws(RecordError) {
            return try DirectoryEntry(decoding: value)
        } catch {
            throw .badRecord(error, root: root.pointer.address)
        }
    }

    // MARK: Contents

    /// Passes the blocks of a file that differ, in order, until `body` returns false.
    ///
    /// Blocks beyond a tree's length of the file are no part of its contents there.
    ///
    /// - Parameters:
    ///   - oldLength: bytes of the file in the old tree, 0 where it is not there.
    ///   - newLength: bytes of the file in the new tree, 0 where it is not there.
    func forEachBlock(
        of qid: UInt64, oldLength: Int64, newLength: Int64,
        _ body: (BlockDifference) throws(FileError) -> Bool
    ) throws(FileError) {
        let oldBlocks = Self.blockCount(oldLength)
        let newBlocks = Self.blockCount(newLength)
        try delta.forEach(prefix: .dataPrefix(qid)) { (item) throws(FileError) -> Bool in
            guard case .data(_, let offset)? = try? DecodedKey(item.key) else { return true }
            let index = offset / UInt64(Geometry.blockBytes)
            let difference = BlockDifference(
                index: index, old: index < oldBlocks ? Self.pointer(item.old) : nil,
                new: index < newBlocks ? Self.pointer(item.new) : nil)
            if difference.old == nil, difference.new == nil { return true }
            return try body(difference)
        }
    }

    /// Whether a file's contents differ.
    func hasDifferentBlocks(
        of qid: UInt64, oldLength: Int64, newLength: Int64
    ) throws(FileError) -> Bool {
        var differs = oldLength != newLength
        if differs { return true }
        try forEachBlock(of: qid, oldLength: oldLength, newLength: newLength) {
            (_) throws(FileError) -> Bool in
            differs = true
            return false
        }
        return differs
    }

    /// Passes the qids that have different data, lowest first, until `body` returns false. Removed
    /// files whose data is not cleared yet are among them.
    func forEachDataFile(_ body: (UInt64) throws(FileError) -> Bool) throws(FileError) {
        let end = Key.prefix(.entry).bytes
        var start = Key.prefix(.data).bytes
        while true {
            var found: UInt64?
            try delta.forEach(from: start, before: end) { (item) throws(FileError) -> Bool in
                guard case .data(let qid, _)? = try? DecodedKey(item.key) else { return true }
                found = qid
                return false
            }
            guard let qid = found, try body(qid), qid < .max else { return }
            start = Key.dataPrefix(qid + 1).bytes
        }
    }

    /// Blocks that hold `length` bytes.
    static func blockCount(_ length: Int64) -> UInt64 {
        let (whole, rest) = UInt64(max(0, length)).quotientAndRemainder(
            dividingBy: UInt64(Geometry.blockBytes))
        return whole + (rest > 0 ? 1 : 0)
    }

    private static func pointer(_ value: UnsafeRawBufferPointer?) -> BlockPointer? {
        guard let value, value.count >= BlockPointer.byteCount else { return nil }
        return value.baseAddress.map { BlockPointer(decoding: $0) }
    }
}
