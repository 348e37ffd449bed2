import GefsFormat

/// How a fork is merged.
public struct MergeOptions: Sendable {
    /// Whose change counts where both changed the same; nil: nothing is changed where that is so.
    public var preference: MergePreference?
    /// Nothing is changed; the report says what would be.
    public var isDryRun = false

    public init() {}
}

extension FileSystem {
    /// Takes over what a fork has changed since it and the branch were the same, all at once.
    ///
    /// Files are the same where their qid is. What both have changed differently is a conflict, and
    /// then nothing is changed unless there is a preference. The fork stays as it is.
    /// - Returns: what was changed, when it is durable, or the conflicts.
    /// - Throws: `.unknownLabel`, `.label`, `.noCommonAncestor`, `.volumeFull`, `.interference`.
    ///   Nothing is changed then.
    public func merge(
        _ fork: [UInt8], into branch: [UInt8], options: MergeOptions = MergeOptions(),
        as caller: Caller
    ) throws(FileError) -> MergeReport {
        if fork == branch { throw .label(.exists, fork) }
        let theirs = try pin(fork)
        var ancestor = Generation.none
        var conflicts: [MergeConflict] = []
        let report = try transplant(into: branch, isDryRun: options.isDryRun, as: caller) {
            (target) throws(FileError) -> [FileChange] in
            // The ancestor has no label that could be pinned.
            let files = TreeFiles(volume, theirs)
            guard try files.rootDirectory().qid == target.rootDirectory().qid else {
                throw .noCommonAncestor
            }
            let held = HeldBlocks(volume)
            defer { withExtendedLifetime(held) {} }
            let record = try commonAncestor(of: fork, and: branch)
            ancestor = record.generation
            let base = TreeFiles(
                volume, theirs,
                root: TreeRoot(pointer: record.root, height: Int(record.height)))
            var plan = MergePlan(
                try MergeStates(base: base, ours: target, theirs: files))
            let solution = try plan.solve(options.preference)
            conflicts = solution.conflicts
            return solution.changes
        }
        return MergeReport(
            ancestor: ancestor.rawValue, conflicts: conflicts, changes: report)
    }

    private func commonAncestor(
        of left: [UInt8], and right: [UInt8]
    ) throws(FileError) -> SnapshotRecord {
        let ancestor = volume.history.read { graph -> SnapshotRecord? in
            guard let first = graph.record(ofLabel: left), let second = graph.record(ofLabel: right)
            else { return nil }
            return graph.commonAncestor(of: first, and: second)
        }
        guard let ancestor else { throw .noCommonAncestor }
        return ancestor
    }
}

extension HistoryGraph {
    /// The newest record that both come from; one of them itself where the other comes from it.
    func commonAncestor(
        of left: SnapshotRecord, and right: SnapshotRecord
    ) -> SnapshotRecord? {
        let ours = Set(ancestry(of: right).map(\.generation))
        return ancestry(of: left).first { ours.contains($0.generation) }
    }

    /// A record and those that it comes from, newest first.
    private func ancestry(of record: SnapshotRecord) -> [SnapshotRecord] {
        var all: [SnapshotRecord] = []
        var seen: Set<Generation> = []
        var next: SnapshotRecord? = record
        while let record = next, seen.insert(record.generation).inserted {
            all.append(record)
            next = records[heldBefore(record)]
        }
        return all
    }
}

/// While one exists no block becomes free.
private final class HeldBlocks: Sendable {
    private let volume: Volume

    init(_ volume: Volume) {
        self.volume = volume
        volume.lock.locked { volume.pins += 1 }
    }

    deinit {
        volume.lock.locked { volume.pins -= 1 }
    }
}
