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

    /// How often a plan is improved on.
    private static let roundsMax = 5

    /// Works out a plan. Writes nothing.
    ///
    /// - Parameters:
    ///   - now: the time of day in nanoseconds since 1970, for the names of new labels.
    ///   - progress: as for a check; when it returns false the plan is given up.
    public static func plan(
        _ device: any BlockDevice, now: Int64? = nil, progress: Checker.ProgressHandler? = nil
    ) -> DeviceRepair {
        var options = CheckOptions()
        options.findingsPerKindMax = .max
        let before = Checker.check(device, options: options, progress: progress)
        let overlay = OverlayDevice(over: device)
        var rounds: [RepairRound] = []
        var notes = RepairNotes()
        var report = before
        var obstacle: String?
        var badData: Set<BlockPointer> = []
        let now = now ?? WallClock.now()
        if isWrong(report), let flipped = LostSuperblock.flipped(on: overlay),
            (try? overlay.write(flipped.round.writes)) != nil
        {
            rounds.append(flipped.round)
            notes.add(flipped.note)
            report = Checker.check(overlay, options: options, progress: progress)
        }
        if let newer = newerSuperblock(of: overlay) {
            let trial = OverlayDevice(copying: overlay)
            let isWritten = (try? trial.write(newer.copies)) != nil
            let found = Checker.check(trial, options: options, progress: progress)
            if isWritten, found.errorCount <= before.errorCount || found.totals.labels > 0,
                (try? overlay.write(newer.copies)) != nil
            {
                rounds.append(newer)
                notes.add(
                    RepairNote(
                        .mended, "superblock", "the primary one is older than the backup; rewritten"
                    ))
                report = found
            }
        }
        var strays: [LostHistory.Stray] = []
        var spared: Set<Int> = []
        var lostRound: Int?
        let superblock = isWrong(report) ? LostSuperblock(overlay) : nil
        if isWrong(report), let lost = lostHistory(overlay, superblock, progress),
            (try? overlay.write(lost.round.writes)) != nil
        {
            lostRound = rounds.count
            rounds.append(lost.round)
            if let note = superblock?.note { notes.add(note) }
            if let note = lost.note { notes.add(note) }
            strays = lost.strays
            spared = lost.spared
            report = Checker.check(overlay, options: options, progress: progress)
        }
        var tried: Set<BlockAddress> = []
        while isWrong(report) || !strays.isEmpty {
            guard !report.isCancelled else {
                obstacle = "interrupted"
                break
            }
            guard rounds.count < roundsMax else {
                obstacle = "what is wrong cannot be put right"
                break
            }
            badData.formUnion(Self.badData(in: report))
            let correction = BitCorrection(overlay, report, tried: &tried)
            var round = RepairRound()
            round.copies = correction.writes
            if round.copies.isEmpty {
                do throws(RepairError) {
                    let step = try RepairPlanner(
                        overlay, report, badData: badData, strays: strays, spared: spared,
                        tried: tried,
                        now: now
                    ).plan()
                    round = step.round
                    strays = []
                    notes.add(step.notes)
                    tried = step.tried
                } catch {
                    obstacle = "\(error)"
                    break
                }
            } else {
                notes.add(correction.notes)
                badData.subtract(correction.corrected)
            }
            do throws(DeviceError) {
                try overlay.write(round.writes)
            } catch {
                obstacle = "\(error)"
                break
            }
            rounds.append(round)
            // What could not be reached before was not read either; and a correction says nothing
            // of what else is damaged.
            options.verifiesData = !report.isComplete || !correction.writes.isEmpty
            report = Checker.check(overlay, options: options, progress: progress)
        }
        if obstacle != nil { rounds = [] }
        // Until its trees have labels the earlier state must not be the valid one: nobody would look
        // for them again if the repair were cut off there.
        if let lostRound,
            rounds.dropFirst(lostRound + 1).contains(where: { !$0.primary.isEmpty })
        {
            rounds[lostRound].primary = []
            rounds[lostRound].rest = []
        }
        return DeviceRepair(
            before: before, after: obstacle == nil ? report : before, notes: notes.all,
            obstacle: obstacle, rounds: rounds)
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

    /// What takes the place of the snapshot tree; searched for under a superblock that was made anew
    /// where none will do.
    private static func lostHistory(
        _ device: OverlayDevice, _ superblock: LostSuperblock?,
        _ progress: Checker.ProgressHandler?
    ) -> LostHistory? {
        guard let superblock else {
            guard isSnapshotTreeLost(device) else { return nil }
            // A superblock that leads nowhere may be of an older commit, and know too little.
            return LostHistory(device, isMadeAnew: false, progress: progress)
                ?? LostHistory(device, isMadeAnew: true, progress: progress)
        }
        let trial = OverlayDevice(copying: device)
        let buffer = BlockBuffer()
        superblock.superblock.encode(into: buffer.mutableBytes)
        let copies = SuperblockPair(reading: device)
        let places = [BlockAddress(rawValue: 0), copies.backupAddress]
        guard (try? trial.write(places.map { StoreWrite(at: $0, buffer) })) != nil else {
            return nil
        }
        return LostHistory(trial, isMadeAnew: true, progress: progress)
    }

    private static func isSnapshotTreeLost(_ device: OverlayDevice) -> Bool {
        guard let source = ClosedDevice(device, log: FindingLog(perKindMax: 1)) else {
            return false
        }
        return LostHistory.isLost(
            source.superblock.snapshotTreeRoot, RepairNodes(device, tried: []))
    }

    /// The step that puts a newer backup in place of the primary superblock, if there is one.
    ///
    /// A backup is written when the primary is durable, so a primary that is older was lost.
    private static func newerSuperblock(of device: any BlockDevice) -> RepairRound? {
        let pair = SuperblockPair(reading: device)
        guard case .success(let primary) = pair.primary, case .success(let backup) = pair.backup,
            backup.commitGeneration > primary.commitGeneration
        else { return nil }
        let buffer = BlockBuffer()
        backup.encode(into: buffer.mutableBytes)
        var round = RepairRound()
        round.copies = [StoreWrite(at: BlockAddress(rawValue: 0), buffer)]
        return round
    }

    private static func badData(in report: CheckReport) -> Set<BlockPointer> {
        var result: Set<BlockPointer> = []
        for finding in report.findings {
            guard case .block(_, .data(let pointer, _, _), let fault) = finding.what else {
                continue
            }
            switch fault {
            case .hash, .unreadable:
                result.insert(
                    BlockPointer(
                        address: pointer.address, hash: pointer.hash, generation: .zero))
            default: break
            }
        }
        return result
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
        }
    }
}
