import GefsFormat

/// Which snapshot comes before which, over lines and forks, for questions that cost nothing.
///
/// Snapshots are named by their place among all, the oldest first. A link that does not lead to an
/// older one counts as none, so there are no circles.
struct HistoryForest {
    private var before: [Int?] = []
    private var spans: [(before: Generation, generation: Generation)] = []
    /// When a walk from the oldest on comes to a snapshot, and when it has been at all behind it.
    private var entered: [Int] = []
    private var left: [Int] = []

    init() {}

    init(_ snapshots: [CheckedSnapshot]) {
        let byGeneration = Dictionary(
            snapshots.indices.map { (snapshots[$0].generation, $0) },
            uniquingKeysWith: { first, _ in first })
        spans = snapshots.map { (Self.generationBefore($0.record), $0.generation) }
        before = snapshots.indices.map { place in
            byGeneration[spans[place].before].flatMap { $0 < place ? $0 : nil }
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

    // MARK: Blocks

    /// Whether a block is born behind the snapshot before one. Dropping this one frees it then.
    func isBorn(_ birth: Generation, in place: Int) -> Bool {
        let before = spans[place].before
        return !before.isNone && birth > before
    }

    /// Whether a snapshot can have file data from an older one.
    func mayInherit(from first: Int, _ place: Int) -> Bool {
        // What record 0 shares is known by its tree alone.
        spans[place].before == .zero ? before[place] == first : isBefore(first, place)
    }

    /// The snapshot with which a block goes that another one has from those before it.
    private func owner(of birth: Generation, for place: Int) -> Int? {
        var next: Int? = place
        while let place = next, !isBorn(birth, in: place) { next = before[place] }
        return next
    }

    /// Whether a block that an older snapshot has is taken for a snapshot's own, too: going back
    /// from the two, it is born in the span of different snapshots.
    ///
    /// - Parameters:
    ///   - first: the oldest snapshot that has it, if that is known.
    ///   - isInherited: whether this one has it from those before it.
    func isOwnedTwice(
        _ birth: Generation, by place: Int, first: Int?, isInherited: Bool
    ) -> Bool {
        if isBorn(birth, in: place) { return true }
        guard !isInherited else { return false }
        guard let first else { return true }
        guard birth == .zero else {
            return owner(of: birth, for: first) != owner(of: birth, for: place)
        }
        return spans[first].before == .zero && spans[first].generation != .zero
            && !isBefore(first, place)
    }
}
