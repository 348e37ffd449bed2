import GefsFormat

/// A line of snapshots as a row of places, and for every block the stretch of places that hold it.
struct SnapshotLine: Sendable {
    /// Blocks that are held by the places of a range, and by no others.
    struct Stretch: Hashable, Sendable {
        var places: ClosedRange<Int>
        var blocks: Int
    }

    /// By age.
    let snapshots: [Generation]
    /// In the order of their last places.
    private(set) var stretches: [Stretch] = []

    /// The line that begins with a snapshot.
    ///
    /// - Parameters:
    ///   - tailStart: blocks that the last snapshot holds, too, get a stretch where they were born
    ///     at this place or later. Costs `own` of all places from the one before on.
    ///   - own: asked about these snapshots only.
    init(
        _ books: HistoryBooks, from start: Generation, tailStart: (([Generation]) -> Int)? = nil,
        own: OwnCount
    ) throws(FileError) {
        let snapshots = books.line(from: start)
        self.snapshots = snapshots
        for (place, generation) in snapshots.enumerated() where place > 0 {
            for list in books.entries[generation]?.dead ?? [] where list.blocks > 0 {
                let first = Self.place(bornIn: list.birth, snapshots)
                // Lists of what no snapshot before this one holds are there on damaged disks only.
                guard first < place else { continue }
                stretches.append(Stretch(places: first...place - 1, blocks: list.blocks))
            }
        }
        if let tailStart { try addTail(from: tailStart(snapshots), own: own) }
    }

    /// The place of the first snapshot that has what was born then.
    private static func place(bornIn birth: Generation, _ snapshots: [Generation]) -> Int {
        var low = 0
        var high = snapshots.count
        while low < high {
            let middle = (low + high) / 2
            if snapshots[middle] < birth { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Adds the blocks that the last snapshot holds.
    private mutating func addTail(from first: Int, own: OwnCount) throws(FileError) {
        guard first < snapshots.count else { return }
        // Of what a snapshot holds, all but what died later is still held by the last one.
        var died = [Int](repeating: 0, count: snapshots.count + 1)
        for stretch in stretches {
            died[stretch.places.lowerBound] += stretch.blocks
            died[stretch.places.upperBound + 1] -= stretch.blocks
        }
        var sum = 0
        var before = 0
        for place in snapshots.indices {
            sum += died[place]
            guard place >= first - 1 else { continue }
            let kept = try own(snapshots[place]) - sum
            if place >= first, kept > before {
                stretches.append(
                    Stretch(places: place...snapshots.count - 1, blocks: kept - before))
            }
            before = kept
        }
    }
}
