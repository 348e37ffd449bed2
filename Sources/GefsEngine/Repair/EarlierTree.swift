import GefsFormat

/// A snapshot tree that is there with all of its nodes, and what it says.
struct EarlierTree {
    /// Nil where there is none, and it is empty.
    var root: TreeRoot?
    var records: [Generation: SnapshotRecord] = [:]
    var labels: [Key: LabelRecord] = [:]
    /// Whether it is known for certain that no later one is there.
    var isLast = false
    /// A commit that it is not older than, by the logs.
    var commit: UInt64?
    /// Whether all roots that it names are there.
    var hasAllRoots = true

    var newest: Generation { records.keys.max() ?? .zero }

    /// Whether a tree has all that labels and links lead to, and counts what is there. A part of
    /// one does not.
    var isWhole: Bool {
        guard records[.zero] != nil, labels[Key.label("adm".utf8)] != nil,
            labels[Key.label("empty".utf8)] != nil
        else { return false }
        var counts: [Generation: Int] = [:]
        for label in labels.values { counts[label.generation, default: 0] += 1 }
        let links = records.values.flatMap { [$0.predecessor, $0.successor, $0.base] }
        return (links.filter { !$0.isNone } + counts.keys).allSatisfy { records[$0] != nil }
            && records.allSatisfy { generation, record in
                record.generation == generation
                    && Int(record.labelCount) == counts[generation] ?? 0
            }
    }
}
