import GefsFormat

/// What the snapshots of a volume hold of each other's blocks: a value, without any I/O.
///
/// A block that was born in g and is on deadlist (t, g) is held by all snapshots of its line from
/// g on up to the one before t. A block on no list is held from its birth up to the last snapshot
/// of its line. So counts of lists and the sizes of last snapshots say what any deletion frees,
/// and no tree has to be looked at. Source: FORMAT 8.2, 8.4.
struct HistoryBooks: Sendable {
    /// What is known of one snapshot.
    struct Entry: Sendable {
        /// The snapshot before it in its line; nil for the first one.
        var before: Generation?
        /// The snapshot behind it in its line; nil for the last one.
        var after: Generation?
        /// What its line was forked from.
        var base: Generation
        /// Labels that name it.
        var labelCount: Int
        /// Lines that begin at it.
        var forkCount: Int
        /// Its deadlists, by birth.
        var dead: [DeadCount]
    }

    private(set) var entries: [Generation: Entry]

    init(_ entries: [Generation: Entry]) {
        self.entries = entries
    }

    /// The books of a history.
    ///
    /// - Parameter dead: the counts of all deadlists, by the snapshot that they belong to. Lists of
    ///   snapshots that are gone have no effect.
    init(_ graph: HistoryGraph, dead: [Generation: [DeadCount]]) {
        entries = [:]
        entries.reserveCapacity(graph.records.count)
        for (generation, record) in graph.records {
            // The first snapshot of all is the root of everything, and in no line.
            let isRoot = generation == .zero
            entries[generation] = Entry(
                before: isRoot ? nil : graph.predecessor(of: record)?.generation,
                after: isRoot ? nil : graph.successor(of: record)?.generation, base: record.base,
                labelCount: graph.labelCount(of: generation),
                forkCount: graph.forks(of: generation).count,
                // Upstream can leave lists of blocks that their own snapshot holds (FORMAT 8.4).
                dead: (dead[generation] ?? []).filter { $0.birth < generation }
                    .sorted { $0.birth < $1.birth })
        }
    }

    /// First snapshots of all lines, by age.
    var lineStarts: [Generation] {
        entries.filter { $0.key != .zero && $0.value.before == nil }.map(\.key).sorted()
    }

    /// A line from its first snapshot on.
    func line(from start: Generation) -> [Generation] {
        var line: [Generation] = []
        var next: Generation? = start
        while let generation = next, let entry = entries[generation] {
            line.append(generation)
            // Links come from the disk; a line only ever grows younger.
            next = entry.after.flatMap { $0 > generation ? $0 : nil }
        }
        return line
    }

    /// Blocks that a snapshot holds, and none before it.
    ///
    /// - Throws: errors of `own`.
    func exclusive(
        _ generation: Generation, own: OwnCount
    ) throws(FileError) -> Int {
        guard let entry = entries[generation] else { return 0 }
        guard let before = entry.before else { return try own(generation) }
        // Zero at least: lists of a damaged disk may say anything.
        return max(
            0, try own(generation) - own(before) + entry.dead.reduce(0) { $0 + $1.blocks })
    }

    // MARK: Deleting

    /// What deletions free.
    struct Freed: Hashable, Sendable {
        /// Blocks of trees and files.
        var blocks = 0
        /// Blocks of deadlists that are of no more use. Lists that are joined may take some.
        var listBlocks = 0
        /// Snapshots that go.
        var dropped: [Generation] = []
    }

    /// Takes one label away from a snapshot, and lets go of everything that nothing needs then.
    ///
    /// - Throws: errors of `own`; the books are then of no more use.
    mutating func removeLabel(
        of generation: Generation, own: OwnCount, into freed: inout Freed
    ) throws(FileError) {
        guard let entry = entries[generation], entry.labelCount > 0 else { return }
        update(generation) { $0.labelCount -= 1 }
        try dropUnneeded(generation, own: own, into: &freed)
    }

    /// Lets go of everything that nothing needs as it is: what is being taken apart.
    ///
    /// - Throws: errors of `own`; the books are then of no more use.
    mutating func dropUnneeded(own: OwnCount) throws(FileError) -> Freed {
        var freed = Freed()
        for generation in entries.keys.sorted() {
            try dropUnneeded(generation, own: own, into: &freed)
        }
        return freed
    }

    /// What deleting labels frees that name these snapshots, one for each label.
    func freed(
        deleting generations: [Generation], own: OwnCount
    ) throws(FileError) -> Freed {
        var books = self
        var freed = Freed()
        for generation in generations {
            try books.removeLabel(of: generation, own: own, into: &freed)
        }
        return freed
    }

    /// What deleting each of these snapshots' labels, and none other, would free.
    ///
    /// - Throws: errors of `own`.
    func freedAlone(
        _ generations: some Sequence<Generation>, own: OwnCount
    ) throws(FileError) -> [Generation: Freed] {
        var books = self
        var result: [Generation: Freed] = [:]
        for generation in generations where result[generation] == nil {
            var freed = Freed()
            books.undo = []
            try books.removeLabel(of: generation, own: own, into: &freed)
            for (changed, entry) in (books.undo ?? []).reversed() {
                books.entries[changed] = entry
            }
            result[generation] = freed
        }
        return result
    }

    /// Entries as they were before they were changed; nil while nobody wants to go back.
    private var undo: [(Generation, Entry?)]?

    private mutating func set(_ generation: Generation, _ entry: Entry?) {
        undo?.append((generation, entries[generation]))
        entries[generation] = entry
    }

    private mutating func update(_ generation: Generation, _ change: (inout Entry) -> Void) {
        guard var entry = entries[generation] else { return }
        change(&entry)
        set(generation, entry)
    }

    private mutating func dropUnneeded(
        _ first: Generation, own: OwnCount, into freed: inout Freed
    ) throws(FileError) {
        // A snapshot that goes may be the last that needed another one.
        var next: Generation? = first
        while let generation = next, let entry = entries[generation], generation != .zero,
            entry.labelCount == 0, entry.forkCount == 0
        {
            freed.dropped.append(generation)
            if let after = entry.after, let successor = entries[after] {
                drop(generation, entry, before: after, successor, into: &freed)
                return
            }
            freed.blocks += try exclusive(generation, own: own)
            freed.listBlocks += entry.dead.reduce(0) { $0 + $1.listBlocks }
            set(generation, nil)
            if let before = entry.before {
                update(before) { $0.after = nil }
                next = before
            } else {
                update(entry.base) { $0.forkCount -= 1 }
                next = entry.base
            }
        }
    }

    /// Drops a snapshot that has a successor in its line.
    private mutating func drop(
        _ generation: Generation, _ entry: Entry, before after: Generation, _ successor: Entry,
        into freed: inout Freed
    ) {
        let before = entry.before ?? entry.base
        var merged = successor
        merged.before = entry.before
        merged.dead = []
        var lists: [DeadCount] = []
        for list in entry.dead + successor.dead {
            if !Volume.isHeld(birth: list.birth, before: before) {
                freed.blocks += list.blocks
                freed.listBlocks += list.listBlocks
            } else {
                lists.append(list)
            }
        }
        for list in lists.sorted(by: { $0.birth < $1.birth }) {
            if let last = merged.dead.last, last.birth == list.birth {
                merged.dead[merged.dead.count - 1].blocks += list.blocks
                merged.dead[merged.dead.count - 1].listBlocks += list.listBlocks
            } else {
                merged.dead.append(list)
            }
        }
        set(generation, nil)
        set(after, merged)
        if let before = entry.before { update(before) { $0.after = after } }
    }
}
