import GefsFormat

/// The labels and snapshot records of an open volume, as they will be after the present commit.
///
/// Only the flush thread changes it; anyone may look.
final class History: @unchecked Sendable {
    private let lock = Lock()
    /// lock.
    private var graph = HistoryGraph()
    /// lock. The names of all labels in order, until one comes or goes.
    private var sortedNames: [[UInt8]]?

    func label(_ name: [UInt8]) -> LabelRecord? {
        lock.locked { graph.labels[name] }
    }

    /// The labels behind a name, in label order: all of them, or the first so many.
    func labels(
        after last: [UInt8]? = nil, limit: Int = .max
    ) -> [(name: [UInt8], record: LabelRecord, time: Int64?)] {
        lock.locked {
            let names = sortedNames ?? graph.labels.keys.sorted { $0.lexicographicallyPrecedes($1) }
            sortedNames = names
            let start = last.map { Self.count(of: names, upTo: $0) } ?? 0
            return names[start...].prefix(limit).compactMap { name in
                graph.labels[name].map { (name, $0, graph.times[name]) }
            }
        }
    }

    /// How many of the names, which are in order, are not behind `last`.
    private static func count(of names: [[UInt8]], upTo last: [UInt8]) -> Int {
        var (low, high) = (0, names.count)
        while low < high {
            let middle = (low + high) / 2
            if last.lexicographicallyPrecedes(names[middle]) {
                high = middle
            } else {
                low = middle + 1
            }
        }
        return low
    }

    func record(_ generation: Generation) -> SnapshotRecord? {
        lock.locked { graph.records[generation] }
    }

    func records() -> [SnapshotRecord] {
        lock.locked { Array(graph.records.values) }
    }

    func names(of generation: Generation) -> [[UInt8]] {
        lock.locked { graph.names(of: generation) }
    }

    /// Everything as of now, as a value.
    func snapshot() -> HistoryGraph {
        lock.locked { graph }
    }

    /// Looks at the graph without a copy of it. Nothing in `body` may wait.
    func read<Result>(_ body: (HistoryGraph) -> Result) -> Result {
        lock.locked { body(graph) }
    }

    /// Changes the graph. Flush thread only.
    func change<Result>(_ body: (inout HistoryGraph) -> Result) -> Result {
        lock.locked {
            let count = graph.labels.count
            let result = body(&graph)
            if graph.labels.count != count { sortedNames = nil }
            return result
        }
    }

    /// Adds, moves or removes a label; see `change` for the others.
    func setLabel(_ name: [UInt8], _ label: LabelRecord?) {
        lock.locked {
            if let label { graph.setLabel(name, label) } else { graph.removeLabel(name) }
            sortedNames = nil
        }
    }
}
