import GefsFormat

/// Works out a repair, step by step, on an overlay of the device. Nothing is written.
struct RepairRun {
    /// What was found at first.
    let before: CheckReport
    /// What a check finds after the steps so far.
    private(set) var report: CheckReport
    private(set) var rounds: [RepairRound] = []
    private(set) var notes = RepairNotes()

    private var overlay: OverlayDevice
    private let now: Int64
    private let progress: Checker.ProgressHandler?
    /// Pointers to file data, without generation, that the data does not match.
    private var badData: Set<BlockPointer> = []
    /// Whether those are all that are in the trees.
    private var isDataRead: Bool
    /// Blocks in which a wrong bit was looked for.
    private var tried: Set<BlockAddress> = []
    private var strays: [LostHistory.Stray] = []
    private var spared: Set<Int> = []
    /// The round that puts an earlier snapshot tree in the place of the last one.
    private var lostRound: Int?
    private var hasStrays = false
    /// What is to be written before it.
    private var standIn: Superblock?

    /// How often a plan is improved on.
    private static let roundsMax = 5

    init(_ device: any BlockDevice, now: Int64, progress: Checker.ProgressHandler?) {
        self.now = now
        self.progress = progress
        overlay = OverlayDevice(over: device)
        before = Self.check(device, progress)
        report = before
        isDataRead = before.isComplete
    }

    /// Works it out.
    mutating func run() throws(RepairError) {
        try mendSuperblock()
        try preferBackup()
        try findHistory()
        while true {
            guard !report.isCancelled else { throw .interrupted }
            guard DeviceRepair.isWrong(report) || !strays.isEmpty else { break }
            guard rounds.count < Self.roundsMax else { throw .endless }
            badData.formUnion(Self.badData(in: report))
            if try !correct() { try plan() }
        }
        hideHistory()
    }

    /// Leaves out the superblocks of an earlier state until its trees have labels: nobody would look
    /// for them again if the repair were cut off there. What it goes by is put down in their place.
    private mutating func hideHistory() {
        guard let lostRound, hasStrays,
            rounds.dropFirst(lostRound + 1).contains(where: { !$0.primary.isEmpty })
        else { return }
        rounds[lostRound].primary = []
        rounds[lostRound].rest = []
        guard let standIn else { return }
        var round = RepairRound()
        round.putSuperblocks(standIn, deviceBytes: overlay.byteCount)
        rounds.insert(round, at: lostRound)
    }

    private static func check(
        _ device: any BlockDevice, _ progress: Checker.ProgressHandler?, verifiesData: Bool = true
    ) -> CheckReport {
        var options = CheckOptions()
        options.findingsPerKindMax = .max
        options.verifiesData = verifiesData
        return Checker.check(device, options: options, progress: progress)
    }

    private mutating func checkAgain() {
        report = Self.check(overlay, progress)
        isDataRead = report.isComplete
    }

    private mutating func take(
        _ round: RepairRound, _ notes: [RepairNote]
    ) throws(RepairError) {
        try Self.write(round, to: overlay)
        rounds.append(round)
        self.notes.add(notes)
    }

    private mutating func take(_ correction: BitCorrection) throws(RepairError) {
        var round = RepairRound()
        round.copies = correction.writes
        try take(round, correction.notes)
        badData.subtract(correction.corrected)
    }

    private static func write(
        _ round: RepairRound, to device: OverlayDevice
    ) throws(RepairError) {
        do throws(DeviceError) {
            try device.write(round.writes)
        } catch {
            throw .unreadable("\(error)")
        }
    }

    // MARK: Where everything begins

    private mutating func mendSuperblock() throws(RepairError) {
        guard DeviceRepair.isWrong(report), let flipped = LostSuperblock.flipped(on: overlay) else {
            return
        }
        try take(flipped.round, [flipped.note])
        checkAgain()
    }

    /// Puts a newer backup in place of the primary superblock.
    ///
    /// A backup is written when the primary is durable, so a primary that is older was lost.
    private mutating func preferBackup() throws(RepairError) {
        let pair = SuperblockPair(reading: overlay)
        guard case .success(let primary) = pair.primary, case .success(let backup) = pair.backup,
            backup.commitGeneration > primary.commitGeneration
        else { return }
        let buffer = BlockBuffer()
        backup.encode(into: buffer.mutableBytes)
        var round = RepairRound()
        round.copies = [StoreWrite(at: BlockAddress(rawValue: 0), buffer)]
        let trial = OverlayDevice(copying: overlay)
        try Self.write(round, to: trial)
        let found = Self.check(trial, progress)
        guard found.errorCount <= before.errorCount || found.totals.labels > 0 else { return }
        let note = "the primary one is older than the backup; rewritten"
        try take(round, [RepairNote(.mended, "superblock", note)])
        report = found
        isDataRead = found.isComplete
    }

    /// Looks for what takes the place of a snapshot tree that is lost.
    private mutating func findHistory() throws(RepairError) {
        guard DeviceRepair.isWrong(report) else { return }
        let superblock = LostSuperblock(overlay)
        guard let lost = lostHistory(below: superblock) else { return }
        lostRound = rounds.count
        try take(lost.round, [superblock?.note, lost.note].compactMap { $0 })
        strays = lost.strays
        hasStrays = !strays.isEmpty
        spared = lost.spared
        // One that leads to another tree is not written over before that is given up.
        if superblock?.rival == nil { standIn = lost.standIn }
        checkAgain()
    }

    /// - Parameter superblock: one that was made anew where none will do.
    private func lostHistory(below superblock: LostSuperblock?) -> LostHistory? {
        guard let superblock else {
            guard let known = try? SuperblockPair(reading: overlay).loaded(),
                LostHistory.isLost(known.snapshotTreeRoot, RepairNodes(overlay, tried: []))
            else { return nil }
            // A superblock that leads nowhere may be of an older commit, and know too little.
            if let knowledge = LostSuperblock.standInKnowledge(known) {
                return LostHistory(overlay, knowledge, progress: progress)
            }
            return LostHistory(overlay, .all, progress: progress)
                ?? LostHistory(overlay, .none, progress: progress)
        }
        let trial = OverlayDevice(copying: overlay)
        let buffer = BlockBuffer()
        superblock.superblock.encode(into: buffer.mutableBytes)
        let copies = SuperblockPair(reading: overlay)
        let places = [BlockAddress(rawValue: 0), copies.backupAddress]
        guard (try? trial.write(places.map { StoreWrite(at: $0, buffer) })) != nil else {
            return nil
        }
        return LostHistory(
            trial, .none, rival: superblock.rival, progress: progress)
    }

    // MARK: Steps

    /// Inverts single wrong bits; whether there were any.
    private mutating func correct() throws(RepairError) -> Bool {
        let correction = BitCorrection(overlay, report, tried: &tried)
        guard !correction.writes.isEmpty else { return false }
        try take(correction)
        // It says nothing of what else is damaged.
        checkAgain()
        return true
    }

    /// Takes a step of all that can be put right at once.
    ///
    /// What could not be reached before was not read either. Where the step leads to file data that
    /// is damaged it is planned anew: a repair that is cut off after the copies of headers, and
    /// begun again, knows of that data at once, and has to come to the same end.
    private mutating func plan() throws(RepairError) {
        while true {
            let step = try RepairPlanner(
                overlay, report, badData: badData, strays: strays, spared: spared, tried: tried,
                now: now
            ).plan()
            let trial = OverlayDevice(copying: overlay)
            try Self.write(step.round, to: trial)
            let next = Self.check(trial, progress, verifiesData: !isDataRead)
            let found = Self.badData(in: next).subtracting(badData)
            guard !isDataRead, !found.isEmpty else {
                try take(step.round, step.notes)
                strays = []
                tried = step.tried
                report = next
                isDataRead = true
                return
            }
            isDataRead = true
            badData.formUnion(found)
            let correction = BitCorrection(trial, next, tried: &tried)
            if !correction.writes.isEmpty { try take(correction) }
        }
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
}
