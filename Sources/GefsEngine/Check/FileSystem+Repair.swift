import GefsFormat

/// What a repair came to.
public struct RepairReport: Sendable {
    /// Snapshots that no label named, which are gone.
    public var droppedSnapshots = 0
    /// Snapshot records that counted labels or forks wrongly.
    public var correctedCounts = 0
    /// Deadlists that made no sense.
    public var discardedLists = 0
    /// Blocks that nothing used, which are free now.
    public var reclaimedBlocks = 0
    /// What a check finds now.
    public var check = CheckReport()
}

extension FileSystem {
    /// Puts right what the original, or a crash of it, leaves wrong without any harm to files:
    /// snapshots without a label, wrong counts, senseless deadlists, leaked blocks.
    ///
    /// The volume is served on meanwhile. Leaked blocks are known for sure only where nothing is
    /// damaged; where something is, they stay.
    public func repair(
        progress: Checker.ProgressHandler? = nil
    ) throws(FileError) -> RepairReport {
        try volume.checkWritable()
        try volume.onFlushThread { $0.mendsDeadlists = true }
        try volume.sync(evenIfClean: true)
        try volume.drainHistory()
        var report = RepairReport()
        var options = CheckOptions()
        options.listsLeaks = true
        let first = try check(options: options, progress: progress)
        report.check = first
        if first.isComplete, !first.isBroken, first.totals.leakedBlocks > 0 {
            report.reclaimedBlocks = try volume.onFlushThread { $0.freeLeaked(first.leakedRanges) }
            try volume.syncAndReclaim(evenIfClean: true)
            report.check = try check(progress: progress)
        }
        let mended = try volume.onFlushThread { $0.mended }
        report.droppedSnapshots = mended.droppedSnapshots
        report.correctedCounts = mended.correctedCounts
        report.discardedLists = mended.discardedLists
        return report
    }
}
