import GefsFormat

/// Labels and snapshot records, and how they hang together: a value without any I/O.
///
/// A *line* is a chain of records of one branch, each the successor of its predecessor. A fork
/// begins a line of its own, whose *base* is the record that it was forked from; all records of a
/// line have the same base. Counts on disk are not trusted (SEMANTICS 12.24), so everything is
/// found from labels and links. Source: FORMAT 7.3, 8.4, 11.
struct HistoryGraph: Sendable {
    private(set) var records: [Generation: SnapshotRecord] = [:]
    private(set) var labels: [[UInt8]: LabelRecord] = [:]
    /// Nanoseconds since 1970 when a label was made, where that is known.
    var times: [[UInt8]: Int64] = [:]
    /// Blocks of a record's tree, where somebody has counted them.
    var sizes: [Generation: TreeSize] = [:]

    private var namesByGeneration: [Generation: Set<[UInt8]>] = [:]
    /// Records by the predecessor that they name.
    private var followers: [Generation: Set<Generation>] = [:]
    /// First records of lines, by their base.
    private var lineStarts: [Generation: Set<Generation>] = [:]

    // MARK: Looking

    /// Names of the labels that name a record, in label order.
    func names(of generation: Generation) -> [[UInt8]] {
        (namesByGeneration[generation] ?? []).sorted { $0.lexicographicallyPrecedes($1) }
    }

    func labelCount(of generation: Generation) -> Int {
        namesByGeneration[generation]?.count ?? 0
    }

    /// The record that a label names.
    func record(ofLabel name: [UInt8]) -> SnapshotRecord? {
        labels[name].flatMap { records[$0.generation] }
    }

    /// Whether a record is the first of its line: nothing before it, or what it was forked from.
    func isLineStart(_ record: SnapshotRecord) -> Bool {
        record.predecessor.isNone || record.predecessor == record.base
    }

    /// The record before this one in the same line.
    func predecessor(of record: SnapshotRecord) -> SnapshotRecord? {
        // A damaged disk's links must not lead in circles.
        isLineStart(record) || record.predecessor >= record.generation
            ? nil : records[record.predecessor]
    }

    /// The record behind this one in the same line; nil for the tip.
    func successor(of record: SnapshotRecord) -> SnapshotRecord? {
        guard let next = nextInLine(record.generation, succ: record.successor) else { return nil }
        return records[next]
    }

    private func nextInLine(_ generation: Generation, succ: Generation) -> Generation? {
        let next = (followers[generation] ?? []).filter { follower in
            follower > generation && records[follower].map { !isLineStart($0) } ?? false
        }
        return next.contains(succ) ? succ : next.min()
    }

    /// First records of the lines that begin at a record, and whatever else hangs off it besides
    /// its successor.
    func forks(of generation: Generation) -> [Generation] {
        var all = lineStarts[generation] ?? []
        if let followers = followers[generation], let record = records[generation] {
            all.formUnion(followers)
            if let next = nextInLine(generation, succ: record.successor) { all.remove(next) }
        }
        return all.sorted()
    }

    /// Whether nothing needs a record: no label, no fork. The first record of all is never dropped.
    func isDroppable(_ generation: Generation) -> Bool {
        generation != .zero && records[generation] != nil && labelCount(of: generation) == 0
            && !hasForks(generation)
    }

    /// Like `forks(of:)`, at no cost where there are many.
    func hasForks(_ generation: Generation) -> Bool {
        lineStarts[generation] != nil || !forks(of: generation).isEmpty
    }

    /// All records that nothing needs, in the order in which they have to go.
    ///
    /// The tips of lines come first. One that was being taken apart when the volume was closed has
    /// let go of blocks that its predecessor holds, without a note of it on a deadlist.
    var droppable: [Generation] {
        let all = records.values.filter { isDroppable($0.generation) }
            .map { (generation: $0.generation, isTip: successor(of: $0) == nil) }
            .sorted { $0.generation < $1.generation }
        return all.filter(\.isTip).map(\.generation)
            + all.filter { !$0.isTip }.map(\.generation)
    }

    /// Blocks of a record's tree that were born in this generation or before are not its own: its
    /// predecessor, or what its line was forked from, holds them, too.
    func heldBefore(_ record: SnapshotRecord) -> Generation {
        isLineStart(record) ? record.base : record.predecessor
    }

    /// How many references the disk's dialect counts on a record. Source: FORMAT 11, "nref".
    func referenceCount(of generation: Generation, in dialect: Dialect) -> Int {
        switch dialect {
        case .r: followers[generation]?.count ?? 0
        case .n: lineStarts[generation]?.count ?? 0
        }
    }

    /// Whether a record, as it is on disk, counts something else than there is.
    func isMiscounted(_ record: SnapshotRecord, in dialect: Dialect) -> Bool {
        Int(record.labelCount) != labelCount(of: record.generation)
            || Int(record.referenceCount) != referenceCount(of: record.generation, in: dialect)
    }

    // MARK: Changing

    mutating func put(_ record: SnapshotRecord) {
        remove(record.generation)
        records[record.generation] = record
        // The first record of all names itself, or nothing.
        guard record.generation != .zero else { return }
        if !record.predecessor.isNone {
            followers[record.predecessor, default: []].insert(record.generation)
        }
        if isLineStart(record) {
            lineStarts[record.base, default: []].insert(record.generation)
        }
    }

    mutating func remove(_ generation: Generation) {
        guard let record = records.removeValue(forKey: generation) else { return }
        Self.remove(generation, from: &followers, at: record.predecessor)
        Self.remove(generation, from: &lineStarts, at: record.base)
    }

    mutating func setLabel(_ name: [UInt8], _ label: LabelRecord) {
        removeLabel(name)
        labels[name] = label
        namesByGeneration[label.generation, default: []].insert(name)
    }

    mutating func removeLabel(_ name: [UInt8]) {
        guard let label = labels.removeValue(forKey: name) else { return }
        Self.remove(name, from: &namesByGeneration, at: label.generation)
    }

    private static func remove<Element>(
        _ element: Element, from sets: inout [Generation: Set<Element>], at key: Generation
    ) {
        sets[key]?.remove(element)
        if sets[key]?.isEmpty ?? false { sets[key] = nil }
    }
}
