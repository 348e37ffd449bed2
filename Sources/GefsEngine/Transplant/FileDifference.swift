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

    init(
        from left: TreeFiles, to right: TreeFiles
    ) throws(FileError) {
        changedData = try TreeComparison(
            old: left.root, new: right.root, source: left.volume.reader
        ).dataFiles()
        let delta = right.delta(from: left)
        try delta.forEach(prefix: .prefix(.entry)) { (item) throws(FileError) -> Bool in
            guard case .entry(let parent, let name)? = try? DecodedKey(item.key) else {
                return true
            }
            if let value = item.old {
                let entry = try left.decode(value)
                files[entry.qidPath, default: Pair()].left = PlacedFile(
                    parent: parent, name: name, entry: entry)
            }
            if let value = item.new {
                let entry = try right.decode(value)
                files[entry.qidPath, default: Pair()].right = PlacedFile(
                    parent: parent, name: name, entry: entry)
            }
            return true
        }
    }
}
