import GefsFormat

/// The files in which two trees differ, by qid.
///
/// A qid belongs to one file for ever, so that the same qid is the same file in both trees.
struct FileDifference {
    /// A file in both trees; nil where a tree does not have it.
    struct Pair {
        var left: PlacedFile?
        var right: PlacedFile?
    }

    /// Files whose entry or place differs, by qid.
    private(set) var files: [UInt64: Pair] = [:]
    /// Qids with data blocks that differ. May name files that neither tree has, since data is
    /// cleared some time after its file.
    let changedData: Set<UInt64>
    /// Qids with extended attributes that differ.
    let changedAttributes: Set<UInt64>

    init(
        from left: TreeFiles, to right: TreeFiles
    ) throws(FileError) {
        let comparison = TreeComparison(
            old: left.root, new: right.root, source: left.volume.reader)
        changedData = try comparison.dataFiles()
        changedAttributes = try comparison.attributedFiles()
        let delta = right.delta(from: left)
        // Those that have several names in one of the trees at least.
        var linked: Set<UInt64> = []
        try delta.forEach(prefix: .prefix(.entry)) { (item) throws(FileError) -> Bool in
            guard case .entry(let parent, let name)? = try? DecodedKey(item.key) else {
                return true
            }
            let place = FileName.Place(parent: parent, name: name)
            if let file = try Self.plainFile(item.old, at: place, in: left, &linked) {
                files[file.qid, default: Pair()].left = file
            }
            if let file = try Self.plainFile(item.new, at: place, in: right, &linked) {
                files[file.qid, default: Pair()].right = file
            }
            return true
        }
        try delta.forEach(prefix: .prefix(.inode)) { (item) throws(FileError) -> Bool in
            if case .inode(let qid)? = try? DecodedKey(item.key) { linked.insert(qid) }
            return true
        }
        for qid in linked {
            var pair = files[qid] ?? Pair()
            if pair.left == nil { pair.left = try left.linkedFile(qid) }
            if pair.right == nil { pair.right = try right.linkedFile(qid) }
            files[qid] = pair
        }
    }

    /// A file that has its entry under its name; what has it elsewhere is noted.
    private static func plainFile(
        _ value: UnsafeRawBufferPointer?, at place: FileName.Place, in files: TreeFiles,
        _ linked: inout Set<UInt64>
    ) throws(FileError) -> PlacedFile? {
        guard let value else { return nil }
        if let link = LinkRecord(value) {
            linked.insert(link.qidPath)
            return nil
        }
        return PlacedFile(
            parent: place.parent, name: place.name, entry: try files.decode(value))
    }
}
