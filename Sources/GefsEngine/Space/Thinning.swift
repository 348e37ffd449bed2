import GefsFormat

/// Where snapshots may be given up. A namespace.
enum Thinning {
    /// Neighbours that may go, of all lines.
    ///
    /// - Parameters:
    ///   - costs: how many labels have to be deleted for a snapshot; none for those that stay.
    ///   - own: asked only about the ends of lines that may go.
    static func stretches(
        _ books: HistoryBooks, costs: [Generation: Int], own: OwnCount
    ) throws(FileError) -> [ThinningStretch] {
        var result: [ThinningStretch] = []
        for start in books.lineStarts {
            let line = try SnapshotLine(
                books, from: start,
                tailStart: { snapshots in
                    // What the last ones hold is free only where all of them may go.
                    (snapshots.lastIndex { costs[$0] == nil } ?? -1) + 1
                }, own: own)
            result += ThinningStretch.stretches(of: line, costs: line.snapshots.map { costs[$0] })
        }
        return result
    }
}
