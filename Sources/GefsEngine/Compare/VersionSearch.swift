import GefsFormat

/// Finds the states of a branch between which a path changed.
///
/// From each version found it goes back in growing steps, then halves the last step, so that a
/// version costs looks at about as many states as the number of its own has digits, twice. Where the
/// birth of a node proves a version's age, those are passed without a look. A path that is missing
/// from a directory in which something is made all the time is looked for in every state.
struct VersionSearch<Source: NodeSource> {
    /// A stretch of equal states, by index.
    struct Stretch {
        var states: ClosedRange<Int>
        var entry: DirectoryEntry?
    }

    private let path: [[UInt8]]
    /// Newest first.
    private let states: [(generation: Generation, root: TreeRoot)]
    private let source: Source
    /// Looks at states that may be of use again.
    private var known: [Int: PathState] = [:]
    private(set) var lookupCount = 0

    init(
        _ path: [[UInt8]], states: [(generation: Generation, root: TreeRoot)], source: Source
    ) {
        self.path = path
        self.states = states
        self.source = source
    }

    /// All stretches, newest first. Neighbours that are both without the file are one.
    mutating func run() throws(FileError) -> [Stretch] {
        var all: [Stretch] = []
        var start = 0
        while start < states.count {
            let state = try state(at: start)
            let end = try end(of: state, from: start)
            if state.entry == nil, let last = all.last, last.entry == nil {
                all[all.count - 1].states = last.states.lowerBound...end
            } else {
                all.append(Stretch(states: start...end, entry: state.entry))
            }
            known = known.filter { $0.key > end }
            start = end + 1
        }
        return all
    }

    private mutating func state(at index: Int) throws(FileError) -> PathState {
        if let state = known[index] { return state }
        let state = try PathState(path, in: states[index].root, source: source)
        lookupCount += 1
        known[index] = state
        return state
    }

    /// The oldest state as far as which nothing has changed since `start`, seen backwards.
    private mutating func end(of state: PathState, from start: Int) throws(FileError) -> Int {
        var same = reach(of: state, from: start)
        var step = 1
        // The first state behind `same` that is known to be another.
        var other: Int?
        while same + 1 < other ?? states.count {
            let index =
                other.map { same + ($0 - same) / 2 } ?? min(same + step, states.count - 1)
            let found = try self.state(at: index)
            if found.isSame(as: state) {
                same = reach(of: found, from: index)
                step *= 2
            } else {
                other = index
            }
        }
        return same
    }

    /// How far back a state is known to hold because its nodes were there already.
    private func reach(of state: PathState, from index: Int) -> Int {
        guard let since = state.since else { return index }
        var low = index
        var high = states.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if states[middle].generation >= since { low = middle } else { high = middle }
        }
        return low
    }
}
