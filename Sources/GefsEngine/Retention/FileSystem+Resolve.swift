import GefsFormat

/// Why a name for a state of a branch names none.
public enum BranchNameFault: Hashable, Sendable {
    /// What stands behind the `@` is no time, and no snapshot of the branch.
    case noSuchSnapshot
    /// The branch has no snapshots whose times are known.
    case noSnapshots
    /// All its snapshots were made later.
    case tooEarly(oldest: [UInt8], nanoseconds: Int64)
    /// It has fewer snapshots than were counted.
    case tooFew(count: Int)
}

extension FileSystem {
    /// The label that a name stands for: itself where a label has it, else `BRANCH@TIME`,
    /// `BRANCH@LABEL` or `BRANCH~N`.
    ///
    /// A time means the snapshot made last of those that were made at or before it, in the
    /// branch's line: over predecessors, and for a fork on in the line it comes from. `~1` is the
    /// newest state with a snapshot (before it, for a snapshot), `~0` the label itself. `BRANCH@LABEL` is a snapshot of that line;
    /// `BRANCH@hour`, or a longer beginning of an automatic snapshot's name, is the newest of
    /// those. Needs no permission; does not block where a label has the name.
    ///
    /// - Throws: `.unknownLabel` where not even the branch exists, `.branchName` where the branch
    ///   has no such state; errors of reading.
    public func resolve(_ name: [UInt8]) throws(FileError) -> [UInt8] {
        try resolve(name, mayBlock: true)
    }

    func resolve(_ name: [UInt8], mayBlock: Bool) throws(FileError) -> [UInt8] {
        if volume.history.label(name) != nil { return name }
        guard let specifier = BranchSpecifier(name) else { throw .unknownLabel }
        // No waiting, but with many labels more work than an event loop should do.
        if !mayBlock { throw .wouldBlock }
        // The part in front is shorter, so this ends.
        let branch = try resolve(specifier.branch, mayBlock: mayBlock)
        return try state(specifier.state, of: branch)
    }

    private func state(
        _ state: BranchSpecifier.State, of branch: [UInt8]
    ) throws(FileError) -> [UInt8] {
        let graph = volume.history.snapshot()
        guard let label = graph.info(ofLabel: branch) else { throw .unknownLabel }
        let labels = try labels()
        let line = BranchLine(from: Generation(rawValue: label.generation), labels: labels) {
            graph.records[$0]
        }
        switch state {
        case .back(0): return branch
        case .back(let count):
            // A snapshot of a branch's present state is the newest one, as it will be when the
            // branch has gone on; what comes before a snapshot does not begin with itself.
            let states = line.labelled.dropFirst(label.isMutable ? 0 : 1)
            if let name = states.dropFirst(count - 1).first?.name { return name }
            throw .branchName(.tooFew(count: states.count), branch)
        case .ago(let age):
            let time = volume.now().subtractingSaturated(age)
            return try snapshot(of: line, at: time, branch, labels)
        case .time(let time):
            return try snapshot(of: line, at: time, branch, labels)
        case .named(let name):
            if let name = Self.snapshot(of: line, named: name, branch) { return name }
            // A branch that has gone back has left snapshots behind that are its own no less; whose
            // they are is not to be seen any more.
            if let label = graph.labels[name], !label.isMutable { return name }
            throw .branchName(.noSuchSnapshot, branch)
        }
    }

    private func snapshot(
        of line: BranchLine, at time: Int64, _ branch: [UInt8], _ labels: [LabelInfo]
    ) throws(FileError) -> [UInt8] {
        // Names say whose snapshots they are, whatever the branch has gone back to since.
        let own = branch + [UInt8(ascii: "@")]
        let named = labels.filter { !$0.isMutable && $0.name.starts(with: own) }
        if let label = line.snapshot(at: time, or: named) { return label.name }
        guard let oldest = line.oldest, let nanoseconds = oldest.time else {
            throw .branchName(.noSnapshots, branch)
        }
        throw .branchName(.tooEarly(oldest: oldest.name, nanoseconds: nanoseconds), branch)
    }

    /// A label of the line, or its newest automatic snapshot whose name begins like that.
    private static func snapshot(
        of line: BranchLine, named name: [UInt8], _ branch: [UInt8]
    ) -> [UInt8]? {
        let snapshots = line.snapshots
        if snapshots.contains(where: { $0.name == name }) { return name }
        let isUnit = SnapshotTime.Unit.allCases.contains { unit in
            name.starts(with: unit.rawValue.utf8)
        }
        guard isUnit else { return nil }
        let beginning = branch + [UInt8(ascii: "@")] + name
        // The newest state first; of one state the latest time, which is the greatest name.
        for stop in line.stops {
            let found = stop.snapshots.map(\.name).filter {
                $0.starts(with: beginning) && SnapshotTime(name: $0)?.branch == branch
            }
            if let last = found.max(by: { $0.lexicographicallyPrecedes($1) }) { return last }
        }
        return nil
    }
}

extension Int64 {
    /// The difference, or the nearest number that there is.
    func subtractingSaturated(_ other: Int64) -> Int64 {
        let (difference, overflows) = subtractingReportingOverflow(other)
        return overflows ? (other > 0 ? .min : .max) : difference
    }
}
