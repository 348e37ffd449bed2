import GefsFormat

/// The three trees of a merge, file by file.
struct MergeStates {
    let base: TreeFiles
    let ours: TreeFiles
    let theirs: TreeFiles
    private let ourDifference: FileDifference
    private let theirDifference: FileDifference

    init(base: TreeFiles, ours: TreeFiles, theirs: TreeFiles) throws(FileError) {
        self.base = base
        self.ours = ours
        self.theirs = theirs
        ourDifference = try FileDifference(from: base, to: ours)
        theirDifference = try FileDifference(from: base, to: theirs)
    }

    /// Files that the fork has changed, in the order of their qids.
    var changedByThem: [UInt64] { theirDifference.files.keys.sorted() }

    /// A file in all three trees.
    ///
    /// - Parameter known: the file as one of the trees has it, of use where all have it alike; nil
    ///   for a directory, which is looked up.
    func versions(
        of qid: UInt64, known: PlacedFile? = nil
    ) throws(FileError) -> FileVersions {
        let our = ourDifference.files[qid]
        let their = theirDifference.files[qid]
        var versions = FileVersions()
        if our == nil, their == nil {
            let file = if let known { Optional(known) } else { try base.directory(qid) }
            versions.base = file
            versions.ours = file
            versions.theirs = file
            return versions
        }
        versions.base = if let our { our.left } else { their?.left }
        versions.ours = if let our { our.right } else { versions.base }
        versions.theirs = if let their { their.right } else { versions.base }
        versions.isChangedByUs = try hasOtherContents(
            versions.base, versions.ours, base, ours, ourDifference)
        versions.isChangedByThem = try hasOtherContents(
            versions.base, versions.theirs, base, theirs, theirDifference)
        if versions.base == nil || (versions.isChangedByUs && versions.isChangedByThem) {
            versions.hasSameContents =
                try !hasOtherContents(versions.ours, versions.theirs, ours, theirs, nil)
        }
        versions.areAttributesChangedByUs = ourDifference.changedAttributes.contains(qid)
        versions.areAttributesChangedByThem = theirDifference.changedAttributes.contains(qid)
        let mayDiffer =
            versions.base == nil
            || (versions.areAttributesChangedByUs && versions.areAttributesChangedByThem)
        if mayDiffer, versions.ours != nil, versions.theirs != nil {
            versions.hasSameAttributes =
                try !TreeComparison(
                    old: ours.root, new: theirs.root, source: ours.volume.reader
                ).hasDifferentAttributes(of: qid)
        }
        return versions
    }

    private func hasOtherContents(
        _ left: PlacedFile?, _ right: PlacedFile?, _ leftFiles: TreeFiles, _ rightFiles: TreeFiles,
        _ difference: FileDifference?
    ) throws(FileError) -> Bool {
        guard let left, let right, !left.isDirectory, !right.isDirectory else { return false }
        if left.length != right.length { return true }
        if let difference, !difference.changedData.contains(left.qid) { return false }
        let comparison = TreeComparison(
            old: leftFiles.root, new: rightFiles.root, source: leftFiles.volume.reader)
        var differs = false
        try comparison.forEachBlock(
            of: left.qid, oldLength: left.entry.length, newLength: right.entry.length
        ) { (block) throws(FileError) -> Bool in
            if let old = block.old,
                try base.volume.isSameEnd(old, block.new, index: block.index, length: left.length)
            {
                return true
            }
            differs = true
            return false
        }
        return differs
    }
}
