import GefsFormat

/// The differences between two file trees of one disk, file by file.
///
/// Costs are those of `TreeDelta`: proportional to what differs. Both trees must stay allocated
/// meanwhile. Configuration keys, and data that no entry refers to, are no part of it.
struct TreeComparison<Source: NodeSource> {
    let old: TreeRoot
    let new: TreeRoot
    let source: Source
    /// Neither tree is a later state of the other: both have gone on from a common ancestor.
    var haveDiverged = false

    private var delta: TreeDelta<Source> { TreeDelta(old: old, new: new, source: source) }

    // MARK: Entries

    /// Passes each file whose entry, place or contents differ, until `body` returns false.
    ///
    /// The order is that of the entries' keys: by directory, and within one as it is listed. A moved
    /// file comes when the second of its places is met. Runs over the difference twice: first to
    /// learn which files have moved, so that all others need not be remembered.
    ///
    /// A file with several names comes once for each of them that differs in anything. Those whose
    /// own value is the same in both trees come after all others.
    ///
    /// A file whose entry is the same in both trees has the same contents where one tree is a later
    /// state of the other: every change of the contents changes the entry's version. After a
    /// divergence entries can have become equal, if times were set. Such files come last; to find
    /// them takes a look through all entries, but only where there is data that nothing else explains.
    func forEachEntry(
        _ body: (EntryDifference) throws(FileError) -> Bool
    ) throws(FileError) {
        let moved = try movedFiles()
        var unexplained: Set<UInt64> =
            haveDiverged ? try dataFiles().union(attributedFiles()) : []
        var goesOn = true
        // Parts of moves whose other part has not been met: of a file with several names there may be
        // more of them.
        var halves: [UInt64: [EntryDifference]] = [:]
        try delta.forEach(prefix: .prefix(.entry)) { (item) throws(FileError) -> Bool in
            let before = try place(item.key, item.old, in: old)
            let after = try place(item.key, item.new, in: new)
            for place in [before, after] {
                if let place { unexplained.remove(place.entry.qidPath) }
            }
            for difference in Self.differences(before, after) where goesOn {
                var difference = difference
                if moved.contains(difference.qid), !difference.isInPlace {
                    guard let half = Self.take(halfOf: difference, from: &halves) else {
                        halves[difference.qid, default: []].append(difference)
                        continue
                    }
                    difference = half.joined(with: difference)
                }
                goesOn = try body(difference)
            }
            return goesOn
        }
        for half in halves.sorted(by: { $0.key < $1.key }).flatMap(\.value) where goesOn {
            goesOn = try body(half)
        }
        if goesOn { goesOn = try forEachInode(&unexplained, body) }
        if goesOn { try forEachEqualEntry(among: unexplained, body) }
    }

    /// The part of a move that goes with another one: a place in the other tree.
    private static func take(
        halfOf difference: EntryDifference, from halves: inout [UInt64: [EntryDifference]]
    ) -> EntryDifference? {
        let waiting = halves[difference.qid] ?? []
        guard let index = waiting.firstIndex(where: { ($0.old == nil) != (difference.old == nil) })
        else { return nil }
        return halves[difference.qid]?.remove(at: index)
    }

    /// Passes the names of files with several whose entry differs, where the name itself does not.
    private func forEachInode(
        _ unexplained: inout Set<UInt64>, _ body: (EntryDifference) throws(FileError) -> Bool
    ) throws(FileError) -> Bool {
        var goesOn = true
        try delta.forEach(prefix: .prefix(.inode)) { (item) throws(FileError) -> Bool in
            guard case .inode(let qid)? = try? DecodedKey(item.key) else { return true }
            unexplained.remove(qid)
            guard let before = item.old, let after = item.new else { return true }
            let entries = (
                try TreePath.decode(before, in: old), try TreePath.decode(after, in: new)
            )
            let names = Set(try TreePath.names(of: qid, in: old, source: source))
            for name in try TreePath.names(of: qid, in: new, source: source)
            where goesOn && names.contains(name) {
                goesOn = try body(
                    EntryDifference(
                        qid: qid, old: EntryDifference.Place(name, entries.0),
                        new: EntryDifference.Place(name, entries.1)))
            }
            return goesOn
        }
        return goesOn
    }

    /// What two values of one entry key say: the same file in both trees, or one in each.
    private static func differences(
        _ before: EntryDifference.Place?, _ after: EntryDifference.Place?
    ) -> [EntryDifference] {
        if let before, let after, before.entry.qidPath == after.entry.qidPath {
            return [EntryDifference(qid: before.entry.qidPath, old: before, new: after)]
        }
        var differences: [EntryDifference] = []
        if let before {
            differences.append(EntryDifference(qid: before.entry.qidPath, old: before, new: nil))
        }
        if let after {
            differences.append(EntryDifference(qid: after.entry.qidPath, old: nil, new: after))
        }
        return differences
    }

    /// Files that one tree has in one place and the other one in another.
    private func movedFiles() throws(FileError) -> Set<UInt64> {
        var gone: [UInt64] = []
        var come: Set<UInt64> = []
        try delta.forEach(prefix: .prefix(.entry)) { (item) throws(FileError) -> Bool in
            let before = try place(item.key, item.old, in: old)?.entry.qidPath
            let after = try place(item.key, item.new, in: new)?.entry.qidPath
            if before == after { return true }
            if let before { gone.append(before) }
            if let after { come.insert(after) }
            return true
        }
        return come.intersection(gone)
    }

    /// Passes those of some files that have the same entry in both trees, and different contents.
    private func forEachEqualEntry(
        among files: Set<UInt64>, _ body: (EntryDifference) throws(FileError) -> Bool
    ) throws(FileError) {
        if files.isEmpty { return }
        let prefix = Key.prefix(.entry).bytes
        var scan = prefix.withUnsafeBytes {
            Tree.Scan(root: new, source: source, prefix: $0, mayBlock: true)
        }
        while true {
            let place: EntryDifference.Place?
            do throws(ReadError) {
                guard let item = try scan.next() else { return }
                place = try? self.place(item.key, item.value, in: new)
            } catch {
                throw FileError(error)
            }
            guard let place, files.contains(place.entry.qidPath) else { continue }
            let length = place.entry.length
            let qid = place.entry.qidPath
            var differs = try hasDifferentBlocks(of: qid, oldLength: length, newLength: length)
            if !differs { differs = try hasDifferentAttributes(of: qid) }
            guard differs else { continue }
            let difference = EntryDifference(qid: place.entry.qidPath, old: place, new: place)
            guard try body(difference) else { return }
        }
    }

    private func place(
        _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer?, in root: TreeRoot
    ) throws(FileError) -> EntryDifference.Place? {
        guard let value, let key = EntryKeyView(key) else { return nil }
        let entry = try TreePath.entry(ofName: value, in: root, source: source)
        return EntryDifference.Place(parent: key.parent, name: Array(key.name), entry: entry)
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

    /// Whether a file's extended attributes differ.
    func hasDifferentAttributes(of qid: UInt64) throws(FileError) -> Bool {
        var differs = false
        try delta.forEach(prefix: .attributePrefix(qid)) { (_) throws(FileError) -> Bool in
            differs = true
            return false
        }
        return differs
    }

    /// Files that have different data, among them removed ones whose data is not cleared yet.
    func dataFiles() throws(FileError) -> Set<UInt64> {
        try files(prefix: .prefix(.data)) { Key.dataPrefix($0) }
    }

    /// Files that have different extended attributes.
    func attributedFiles() throws(FileError) -> Set<UInt64> {
        try files(prefix: .prefix(.attribute)) { Key.attributePrefix($0) }
    }

    /// Files of which keys differ that begin with a kind and a number; each is left with its first.
    private func files(
        prefix: Key, of key: (UInt64) -> Key
    ) throws(FileError) -> Set<UInt64> {
        var files: Set<UInt64> = []
        var start = prefix.bytes
        let end = [prefix.bytes[0] + 1]
        while true {
            var found: UInt64?
            try delta.forEach(from: start, before: end) { (item) throws(FileError) -> Bool in
                switch try? DecodedKey(item.key) {
                case .data(let qid, _)?: found = qid
                case .attribute(let qid, _, _)?: found = qid
                default: return true
                }
                return false
            }
            guard let found else { return files }
            files.insert(found)
            guard found < .max else { return files }
            start = key(found + 1).bytes
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
