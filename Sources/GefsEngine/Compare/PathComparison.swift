import GefsFormat

/// Turns differences of files into changes of paths.
struct PathComparison<Source: NodeSource> {
    private let trees: TreeComparison<Source>
    /// Only what is here, or below, in one of the trees.
    private let prefix: [UInt8]

    init(_ trees: TreeComparison<Source>, under elements: [[UInt8]]) {
        self.trees = trees
        prefix = elements.reduce(into: []) { $0 += [UInt8(ascii: "/")] + $1 }
    }

    /// Passes the changes until `body` returns false.
    func forEach(_ body: (PathChange) -> Bool) throws(FileError) {
        var oldPaths = DirectoryPaths(trees.old, source: trees.source)
        var newPaths = DirectoryPaths(trees.new, source: trees.source)
        try trees.forEachEntry { (difference) throws(FileError) -> Bool in
            let aspects = try aspects(difference)
            let isSame = difference.isInPlace && aspects.isEmpty
            if isSame { return true }
            let oldPath = try difference.old.map { (place) throws(FileError) in
                try oldPaths.path(of: place)
            }
            let newPath = try difference.new.map { (place) throws(FileError) in
                try newPaths.path(of: place)
            }
            guard let path = newPath ?? oldPath,
                isInside(path) || (oldPath.map { isInside($0) } ?? false)
            else { return true }
            let kind = Self.kind(of: difference)
            return body(
                PathChange(
                    kind: kind, path: path, oldPath: kind == .renamed ? oldPath : nil,
                    old: difference.old?.entry, new: difference.new?.entry, aspects: aspects,
                    blockCount: try blockCount(difference, aspects)))
        }
    }

    private static func kind(of difference: EntryDifference) -> PathChange.Kind {
        if difference.old == nil { return .added }
        if difference.new == nil { return .removed }
        return difference.isMoved ? .renamed : .changed
    }

    private func isInside(_ path: [UInt8]) -> Bool {
        path.starts(with: prefix)
            && (prefix.isEmpty || path.count == prefix.count
                || path[prefix.count] == UInt8(ascii: "/"))
    }

    /// What differs in a file that both trees have.
    ///
    /// Times of a directory change with every file that comes or goes in it, and are no change of
    /// theirs. Nor are last accesses, versions, who made the last change, change times, and how many
    /// names a file has: a name that comes or goes is a change of its own.
    private func aspects(_ difference: EntryDifference) throws(FileError) -> PathChange.Aspects {
        guard let old = difference.old?.entry, let new = difference.new?.entry else { return [] }
        var aspects: PathChange.Aspects = []
        if old.mode != new.mode { aspects.insert(.mode) }
        if old.uid != new.uid { aspects.insert(.owner) }
        if old.gid != new.gid { aspects.insert(.group) }
        let have = (old.posix?.hasAttributes ?? false, new.posix?.hasAttributes ?? false)
        if have.0 || have.1 {
            var differs = have.0 != have.1
            if !differs { differs = try trees.hasDifferentAttributes(of: difference.qid) }
            if differs { aspects.insert(.attributes) }
        }
        if new.isDirectory { return aspects }
        if old.modificationTime != new.modificationTime { aspects.insert(.modificationTime) }
        if old.length != new.length { aspects.insert(.size) }
        let differs = try trees.hasDifferentBlocks(
            of: difference.qid, oldLength: old.length, newLength: new.length)
        if differs { aspects.insert(.contents) }
        return aspects
    }

    private func blockCount(
        _ difference: EntryDifference, _ aspects: PathChange.Aspects
    ) throws(FileError) -> UInt64 {
        let isBoth = difference.old != nil && difference.new != nil
        if isBoth, !aspects.contains(.contents) { return 0 }
        var count: UInt64 = 0
        try trees.forEachBlock(
            of: difference.qid, oldLength: difference.old?.entry.length ?? 0,
            newLength: difference.new?.entry.length ?? 0
        ) { (_) throws(FileError) -> Bool in
            count += 1
            return true
        }
        return count
    }
}
