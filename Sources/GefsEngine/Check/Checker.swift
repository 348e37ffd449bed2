import GefsFormat

/// Verifies a volume: everything in FORMAT.md, and the ownership of every block.
///
/// Nothing is ever written. All nodes of all trees are read once, however many snapshots share
/// them; the files of a snapshot are compared with those of a related one and only differences
/// are looked at; file data is read in address order by two threads.
///
/// Memory: 24 bytes for each block in use, 100 to 220 bytes for each file of the largest tree,
/// some 150 bytes for each tree node, 8 bytes for each entry of a deadlist, and 16 bytes for each
/// pointer to such a block. A million files in 4 million blocks with 100 snapshots take 350 MiB.
public enum Checker {
    /// Asked now and then on the calling thread whether to go on.
    public typealias ProgressHandler = (CheckProgress) -> Bool

    /// Checks a device that nobody writes to. Blocks until it is done.
    ///
    /// - Parameters:
    ///   - device: a device opened for reading, or in memory.
    ///   - options: what to look at.
    ///   - progress: called every few MiB; when it returns false the check stops and the report
    ///     says so.
    /// - Returns: what was found. Damage is reported, never thrown.
    public static func check(
        _ device: any BlockDevice, options: CheckOptions = CheckOptions(),
        progress: ProgressHandler? = nil
    ) -> CheckReport {
        let log = FindingLog(perKindMax: options.findingsPerKindMax)
        guard let source = ClosedDevice(device, log: log) else {
            var report = CheckReport()
            log.write(to: &report)
            return report
        }
        return check(source, log: log, options: options, progress: progress)
    }

    /// Checks a committed state of a volume. Blocks until it is done.
    ///
    /// - Parameters:
    ///   - source: the state.
    ///   - log: what was found while the source was loaded.
    ///   - options: what to look at.
    ///   - progress: as above.
    static func check(
        _ source: any CheckSource, log: FindingLog? = nil, options: CheckOptions = CheckOptions(),
        progress: ProgressHandler? = nil
    ) -> CheckReport {
        let run = CheckRun(
            source, log: log ?? FindingLog(perKindMax: options.findingsPerKindMax),
            options: options, progress: progress)
        return run.run()
    }
}
