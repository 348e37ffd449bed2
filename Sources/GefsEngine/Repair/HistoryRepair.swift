import GefsFormat

/// Labels and snapshot records as they survive, and what has to become of them.
///
/// Source: FORMAT 7.3, 8.4, 11.
struct HistoryRepair {
    /// Records by generation; their roots are filled in as trees are mended.
    var records: [Generation: SnapshotRecord] = [:]
    var labels: [[UInt8]: LabelRecord] = [:]
    /// Settings, sizes and times.
    var settings: [Key: [UInt8]] = [:]
    /// Records whose trees are lost.
    private var lost: Set<Generation> = []
    private(set) var notes: [RepairNote] = []
    /// Whether labels may have been lost with a part of the snapshot tree.
    let isIncomplete: Bool

    init(_ pairs: [RepairScan.Pair], badKeys: Set<Key>, isIncomplete: Bool) {
        self.isIncomplete = isIncomplete
        for pair in pairs where !badKeys.contains(pair.key) {
            guard let key = pair.key.withBytes({ try? DecodedKey($0) }) else { continue }
            switch key {
            case .label(let name):
                if var label = pair.value.withUnsafeBytes({ try? LabelRecord(decoding: $0) }) {
                    label.flags &= 7
                    labels[name] = label
                } else {
                    notes.append(
                        RepairNote(.lost, "label", "its record is broken", labels: [text(name)]))
                }
            case .snapshot(let generation):
                guard
                    var record = pair.value.withUnsafeBytes({
                        try? SnapshotRecord(decoding: $0)
                    })
                else { continue }
                record.generation = generation
                records[generation] = record
            case .config:
                settings[pair.key] = pair.value
            case .deadlist, .data, .entry, .up, .inode, .link, .attribute:
                break
            }
        }
    }

    private func text(_ name: [UInt8]) -> String { String(decoding: name, as: UTF8.self) }

    /// Names of the labels of a record.
    func names(of generation: Generation) -> [String] {
        labels.filter { $0.value.generation == generation }.map { text($0.key) }.sorted()
    }

    /// A record's tree is lost, and so it goes with its labels.
    ///
    /// - Parameter place: an empty tree, with which it keeps its place in history for as long as
    ///   something else was forked from it: what is before and behind it shares blocks with the
    ///   fork, and none of them may free those for itself.
    mutating func lose(_ generation: Generation, why: String, place: TreeRoot) {
        if generation == .zero {
            records[generation] = nil
        } else {
            setRoot(generation, place)
            lost.insert(generation)
        }
        for (name, label) in labels where label.generation == generation {
            labels[name] = nil
            notes.append(
                RepairNote(
                    .lost, "label", "the root of its tree is lost: \(why)", labels: [text(name)]))
        }
    }

    // MARK: Links

    /// Takes out labels of nothing, and records that nothing needs; makes links and counts right.
    ///
    /// - Parameter place: a record for a generation that others were forked from and that is gone.
    mutating func settle(
        rescueName: (Generation) -> [UInt8],
        place: (Generation) throws(RepairError) -> SnapshotRecord
    ) throws(RepairError) {
        for (name, label) in labels where records[label.generation] == nil {
            labels[name] = nil
            notes.append(
                RepairNote(.lost, "label", "its snapshot is gone", labels: [text(name)]))
        }
        if isIncomplete { labelTheUnlabelled(rescueName) }
        try placeMissing(place)
        try mendLinks(place)
        dropUnneeded()
        setSuccessors()
    }

    private mutating func labelTheUnlabelled(_ rescueName: (Generation) -> [UInt8]) {
        let named = Set(labels.values.map(\.generation))
        let followed = Set(records.values.map(\.predecessor)).union(records.values.map(\.base))
        for generation in records.keys.sorted()
        where generation != .zero && !named.contains(generation) && !followed.contains(generation)
            && !lost.contains(generation)
        {
            let name = rescueName(generation)
            labels[name] = LabelRecord(generation: generation, flags: 0)
            notes.append(
                RepairNote(
                    .moved, "label", "snapshot \(generation), whose own label is lost",
                    labels: [text(name)]))
        }
    }

    /// Puts something in the place of records that are not there, but that a line goes on behind
    /// and that others were forked from: what they share stays shared then.
    private mutating func placeMissing(
        _ place: (Generation) throws(RepairError) -> SnapshotRecord
    ) throws(RepairError) {
        let (starts, others) = (
            records.values.filter(\.isLineStart), records.values.filter { !$0.isLineStart }
        )
        let bases = Set(starts.map(\.base))
        for next in others.sorted(by: { $0.generation < $1.generation }) {
            let missing = next.predecessor
            guard bases.contains(missing), records[missing] == nil, missing < next.generation,
                next.base < missing
            else { continue }
            var record = try place(missing)
            record.base = next.base
            // What was before it is looked for like any lost link.
            record.predecessor = missing
            record.successor = next.generation
            records[missing] = record
            lost.insert(missing)
        }
    }

    private mutating func mendLinks(
        _ place: (Generation) throws(RepairError) -> SnapshotRecord
    ) throws(RepairError) {
        let old = records
        for generation in old.keys.sorted() where generation != .zero {
            guard var record = records[generation] else { continue }
            if !record.isLineStart, !isUsable(record.predecessor, before: generation) {
                mendPredecessor(&record, old)
            }
            if records[record.base] == nil || record.base >= generation {
                // What was born before the base is not this line's to free. A younger base keeps
                // more from being freed, never less.
                let younger = records.keys.filter {
                    $0 >= record.base && $0 < generation && $0 != generation
                }.min()
                if let younger, record.isLineStart || younger != record.predecessor {
                    if record.predecessor == record.base { record.predecessor = younger }
                    record.base = younger
                } else if record.base < generation {
                    records[record.base] = try place(record.base)
                } else {
                    if record.predecessor == record.base { record.predecessor = .zero }
                    record.base = .zero
                }
            }
            if record != old[generation] { records[generation] = record }
        }
    }

    private func isUsable(_ predecessor: Generation, before generation: Generation) -> Bool {
        predecessor < generation && records[predecessor] != nil
    }

    private mutating func mendPredecessor(
        _ record: inout SnapshotRecord, _ old: [Generation: SnapshotRecord]
    ) {
        let generation = record.generation
        let base = record.base
        let sameLine = old.values.filter {
            $0.base == base && $0.generation < generation && records[$0.generation] != nil
        }
        if let direct = sameLine.first(where: { $0.successor == generation }) {
            record.predecessor = direct.generation
        } else if let last = sameLine.filter({ records[$0.successor] == nil }).map(\.generation)
            .max()
        {
            // Taken for a fork of the youngest snapshot that it may come behind: then nothing is
            // freed that the two share.
            record.predecessor = last
            record.base = last
        } else {
            record.predecessor = record.base
        }
    }

    /// Takes out records whose trees are lost, and from which nothing was forked.
    mutating func dropLost() { drop(lost) }

    private mutating func dropUnneeded() { drop(Set(records.keys)) }

    private mutating func drop(_ candidates: Set<Generation>) {
        while true {
            var graph = HistoryGraph()
            for record in records.values { graph.put(record) }
            for (name, label) in labels { graph.setLabel(name, label) }
            guard let generation = graph.droppable.first(where: candidates.contains),
                let record = records[generation]
            else { return }
            let next = graph.successor(of: record)?.generation
            records[generation] = nil
            if let next {
                records[next]?.predecessor = record.predecessor
            }
            guard !lost.contains(generation) else { continue }
            notes.append(
                RepairNote(.mended, "record", "snapshot \(generation), which nothing needs, goes"))
        }
    }

    private mutating func setSuccessors() {
        var graph = HistoryGraph()
        for record in records.values { graph.put(record) }
        for (generation, record) in records {
            let next = graph.successor(of: record)?.generation
            let isDangling = !record.successor.isNone && records[record.successor] == nil
            if next != nil || isDangling { records[generation]?.successor = next ?? .none }
        }
    }

    /// Puts in the counts that a dialect wants.
    mutating func count(in dialect: Dialect) {
        var graph = HistoryGraph()
        for record in records.values { graph.put(record) }
        for (name, label) in labels { graph.setLabel(name, label) }
        for generation in records.keys {
            guard var record = records[generation] else { continue }
            record.labelCount = UInt32(graph.labelCount(of: generation))
            record.referenceCount = UInt32(graph.referenceCount(of: generation, in: dialect))
            if records[generation] != record {
                records[generation] = record
            }
        }
    }

    mutating func setRoot(_ generation: Generation, _ root: TreeRoot) {
        records[generation]?.root = root.pointer
        records[generation]?.height = UInt32(root.height)
    }

    mutating func add(_ note: RepairNote) { notes.append(note) }
}

extension SnapshotRecord {
    /// Whether it is the first of its line. Source: FORMAT 7.3, 8.4.
    fileprivate var isLineStart: Bool { predecessor.isNone || predecessor == base }
}
