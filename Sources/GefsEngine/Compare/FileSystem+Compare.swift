import GefsFormat

extension FileSystem {
    /// Compares the trees of two labels and passes what has become of each file, until `body`
    /// returns false.
    ///
    /// Of a branch everything acknowledged before the call is compared; what is written meanwhile
    /// is not. A file is known by its qid: renamed, it is one change, and what is below a renamed
    /// directory is none. A directory that was added or removed is listed with all of its contents.
    /// A file that was removed, and another one made under its name, are two changes.
    ///
    /// Changes come directory by directory, not sorted by path. The cost, in blocks read, is
    /// proportional to what the trees do not share; with a path, too.
    ///
    /// - Parameters:
    ///   - path: elements of a path in one of the trees at least; what lies elsewhere in both is
    ///     left out.
    ///   - body: called on the caller's thread.
    /// - Throws: `.unknownLabel`; `.notFound` where neither tree has the path; errors of reading.
    public func compare(
        _ old: [UInt8], _ new: [UInt8], under path: [[UInt8]] = [],
        _ body: (PathChange) -> Bool
    ) throws(FileError) -> ComparisonTotals {
        let before = try pin(old)
        let after = try pin(new)
        let source = CountingSource(volume.reader)
        var isThere = path.isEmpty
        for root in [before.root, after.root] where !isThere {
            isThere = try TreePath.entry(at: path, in: root, source: source) != nil
        }
        guard isThere else { throw .notFound }
        let comparison = PathComparison(
            TreeComparison(
                old: before.root, new: after.root, source: source,
                haveDiverged: haveDiverged(before, after)), under: path)
        var totals = ComparisonTotals()
        try comparison.forEach { change in
            totals.add(change)
            return body(change)
        }
        totals.blocksRead = source.readCount
        return totals
    }

    /// Whether neither of two trees is a later state of the other.
    func haveDiverged(_ a: PinnedTree, _ b: PinnedTree) -> Bool {
        volume.history.read { graph in
            // A branch that has gone on meanwhile may have left the record that it was pinned with.
            let generations = [a, b].map { tree in
                graph.records[tree.generation]?.generation
                    ?? graph.labels[tree.label]?.generation ?? tree.generation
            }
            return !graph.ancestry(of: generations[0]).contains(generations[1])
                && !graph.ancestry(of: generations[1]).contains(generations[0])
        }
    }
}
