import GefsFormat

/// Repair of a device that nobody has open: superblocks, arenas, logs, trees, deadlists, records.
///
/// A plan is worked out first, in memory, and checked; it is carried out only if a check of what it
/// leads to finds nothing wrong. Carrying it out can be interrupted at any point.
public struct DeviceRepair {
    /// What was found at first.
    public let before: CheckReport
    /// What a check finds when the plan has been carried out. File data is not read again for it.
    public let after: CheckReport
    /// What is put right, lost, moved or left, in the order of the work.
    public let notes: [RepairNote]
    /// Why nothing, or nothing more, can be done; nil if the plan leads to a clean volume.
    public let obstacle: String?
    let rounds: [RepairRound]

    /// Whether nothing has to be done.
    public var isNothing: Bool { rounds.isEmpty }
    /// Whether the plan leads to a volume in which nothing is wrong.
    public var isComplete: Bool { obstacle == nil }
    /// How many blocks are written.
    public var writeCount: Int { rounds.reduce(0) { $0 + $1.writes.count } }

    /// Works out a plan. Writes nothing.
    ///
    /// - Parameters:
    ///   - now: the time of day in nanoseconds since 1970, for the names of new labels.
    ///   - progress: as for a check; when it returns false the plan is given up.
    public static func plan(
        _ device: any BlockDevice, now: Int64? = nil, progress: Checker.ProgressHandler? = nil
    ) -> DeviceRepair {
        var run = RepairRun(device, now: now ?? WallClock.now(), progress: progress)
        do throws(RepairError) {
            try run.run()
        } catch {
            return DeviceRepair(
                before: run.before, after: run.before, notes: run.notes.all, obstacle: "\(error)",
                rounds: [])
        }
        return DeviceRepair(
            before: run.before, after: run.report, notes: run.notes.all, obstacle: nil,
            rounds: run.rounds)
    }

    /// Whether a device that may have lost its superblocks has the arenas of a volume. Reads a few
    /// blocks for each.
    public static func hasArenas(_ device: any BlockDevice) -> Bool {
        LostSuperblock(device) != nil
    }

    /// Carries the plan out.
    ///
    /// - Throws: what kept it from being carried out wholly. The volume is then as it was, or as
    ///   after a part of the plan; another repair goes on from there.
    public func apply(to device: any BlockDevice) throws(DeviceError) {
        for round in rounds { try round.apply(to: device) }
    }

    /// Whether a repair has anything to do.
    static func isWrong(_ report: CheckReport) -> Bool {
        report.counts.contains(where: isWrong)
    }

    /// Data of removed files is reclaimed by who opens the branch next, and legal until then.
    static func isWrong(_ count: CheckReport.KindCount) -> Bool {
        count.severity != .note
            && count.kind != "files.orphanData" && count.kind != "files.dataPastEnd"
    }
}

extension RepairError: CustomStringConvertible {
    var description: String {
        switch self {
        case .noSpace: "there is not enough free space for what has to be written"
        case .noSnapshotTree(let why): "nothing leads to the files: \(why); see gefs rescue"
        case .unreadable(let why): why
        case .endless: "what is wrong cannot be put right"
        case .interrupted: "interrupted"
        }
    }
}
