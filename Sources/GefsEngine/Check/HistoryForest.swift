import GefsFormat

/// Which snapshot comes before which, over lines and forks, for questions that cost nothing.
///
/// Snapshots are named by their place among all, the oldest first. A link that does not lead to an
/// older one counts as none, so there are no circles.
struct HistoryForest {
    private var before: [Int?] = []
    /// When a walk from the oldest on comes to a snapshot, and when it has been at all behind it.
    private var entered: [Int] = []
    private var left: [Int] = []

    init() {}

    init(_ snapshots: [CheckedSnapshot]) {
        let byGeneration = Dictionary(
            snapshots.indices.map { (snapshots[$0].generation, $0) },
            uniquingKeysWith: { first, _ in first })
        before = snapshots.enumerated().map { place, snapshot in
            byGeneration[Self.generationBefore(snapshot.record)].flatMap { $0 < place ? $0 : nil }
        }
        entered = Array(repeating: 0, count: before.count)
        left = entered
        var behind: [[Int]] = Array(repeating: [], count: before.count)
        var todo: [(place: Int, isDone: Bool)] = []
        for (place, link) in before.enumerated() {
            if let link { behind[link].append(place) } else { todo.append((place, false)) }
        }
        var time = 0
        while let (place, isDone) = todo.popLast() {
            time += 1
            if isDone {
                left[place] = time
            } else {
                entered[place] = time
                todo.append((place, true))
                todo += behind[place].map { ($0, false) }
            }
        }
    }

    /// The snapshot whose blocks a snapshot shares: its predecessor, or what its line was forked
    /// from. Source: FORMAT 7.3, 8.4.
    static func generationBefore(_ record: SnapshotRecord) -> Generation {
        let isLineStart = record.predecessor.isNone || record.predecessor == record.base
        return isLineStart ? record.base : record.predecessor
    }

    /// The place of the snapshot before one.
    func before(_ place: Int) -> Int? { before[place] }

    /// Whether a snapshot comes somewhere before another one; none comes before itself.
    func isBefore(_ first: Int, _ second: Int) -> Bool {
        first != second && entered[first] < entered[second] && left[second] < left[first]
    }
}
