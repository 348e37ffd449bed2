import GefsFormat

/// One scrub: superblocks, arena headers and logs; the snapshot tree and all lists; then the tree
/// of each snapshot with its file data.
final class ScrubRun {
    /// Blocks that are read at a time, with frees held back.
    private static let stepBlocks = 256
    private static let findingsMax = 256

    private let volume: Volume
    private let pace: (ScrubProgress) -> Bool
    private var progress = ScrubProgress()
    private var blocks: UInt64 = 0
    private var findings: [ScrubFinding] = []
    private var findingCount = 0

    /// - Parameter pace: gets the progress, waits as long as it likes, and says whether to go on.
    init(_ volume: Volume, pace: @escaping (ScrubProgress) -> Bool) {
        self.volume = volume
        self.pace = pace
    }

    func run() -> ScrubResult {
        let started = volume.now()
        let isComplete = (try? scrub()) ?? false
        return ScrubResult(
            started: started, ended: volume.now(), blocks: blocks, isComplete: isComplete,
            findingCount: findingCount, findings: findings)
    }

    private func scrub() throws(FileError) -> Bool {
        let firstNew = try volume.onFlushThread { volume in
            (volume.nextGeneration, UInt64(volume.arenas.usedBlocks))
        }
        progress.bytesTotal = firstNew.1 * UInt64(Geometry.blockBytes)
        let tree = ScrubTree(volume.device, firstNew: firstNew.0)
        try scrubCopies(tree)
        guard goesOn(tree) else { return false }
        try scrubSnapshotTree(firstNew.0)
        guard goesOn(tree) else { return false }
        var history = try volume.onFlushThread { CommittedHistory($0) }
        let all = history.graph.records.keys.sorted()
        for generation in all {
            let names = history.graph.names(of: generation)
            var start: Key?
            while true {
                // A branch goes on meanwhile; a snapshot that is deleted needs no look.
                let record =
                    history.graph.records[generation]
                    ?? names.lazy.compactMap { history.graph.record(ofLabel: $0) }.first
                guard let record else { break }
                let root = TreeRoot(pointer: record.root, height: Int(record.height))
                let end = tree.walk(root, from: start, budget: Self.stepBlocks)
                judge(tree, history)
                guard case .at(let next) = end else { break }
                start = next
                history = try renewed(history, tree)
                guard !isCancelled else { return false }
            }
            if tree.pendingCount >= Self.stepBlocks {
                history = try renewed(history, tree)
                guard !isCancelled else { return false }
            }
        }
        return goesOn(tree)
    }

    private var isCancelled = false

    /// Lets go of what keeps blocks from being freed, waits as the rate demands, and looks again.
    private func renewed(
        _ history: consuming CommittedHistory, _ tree: ScrubTree
    ) throws(FileError) -> CommittedHistory {
        do { _ = consume history }
        if !goesOn(tree) { isCancelled = true }
        return try volume.onFlushThread { CommittedHistory($0) }
    }

    private func goesOn(_ tree: ScrubTree) -> Bool {
        let count = UInt64(tree.takeCount())
        blocks += count
        progress.bytesSince = count * UInt64(Geometry.blockBytes)
        progress.bytesDone += progress.bytesSince
        progress.bytesTotal = max(progress.bytesTotal, progress.bytesDone)
        progress.findingCount = findingCount
        return pace(progress)
    }

    private func judge(_ tree: ScrubTree, _ history: CommittedHistory) {
        let suspects = tree.takeSuspects()
        guard !suspects.isEmpty else { return }
        let places = ScrubPlaces(history)
        for suspect in suspects {
            findingCount += 1
            if findings.count < Self.findingsMax { findings.append(places.finding(suspect)) }
        }
    }

    /// Both copies of the superblock and of the headers, and the logs. On the flush thread, which
    /// is the only one that writes them.
    private func scrubCopies(_ tree: ScrubTree) throws(FileError) {
        let (found, count, history) = try volume.onFlushThread { volume in
            let log = FindingLog(perKindMax: 64)
            let count: Int
            if let device = ClosedDevice(volume.device, log: log) {
                count =
                    2 + 2 * device.arenas.count
                    + device.arenas.reduce(0) { $0 + $1.logBlocks.count }
            } else {
                count = 2
            }
            var report = CheckReport()
            log.write(to: &report)
            return (report.findings, count, CommittedHistory(volume))
        }
        for finding in found where finding.severity > .note {
            tree.add(
                ScrubSuspect(
                    address: finding.address ?? BlockAddress(rawValue: 0),
                    place: .other("superblocks, headers and logs"), reason: finding.description))
        }
        tree.noteRead(count)
        judge(tree, history)
    }

    /// The snapshot tree, deadlists, and the list of pending frees: of one commit, since their
    /// blocks do not say when they were born.
    private func scrubSnapshotTree(_ firstNew: Generation) throws(FileError) {
        let (history, pending) = try volume.onFlushThread { volume in
            (
                CommittedHistory(volume),
                DeadlistRecord(
                    head: volume.superblock.pendingHead, tail: volume.superblock.pendingTail)
            )
        }
        // Marks of its own: blocks of this tree are all born in generation 0.
        let tree = ScrubTree(volume.device, firstNew: firstNew)
        _ = tree.walk(history.root, from: nil, budget: .max / 2)
        tree.walkChain(pending, "list of pending frees")
        // Where the tree is damaged, which was reported, lists may be missing.
        for list in (try? history.deadlists()) ?? [] {
            tree.walkChain(list.record, "deadlist (\(list.generation), \(list.birth))")
        }
        judge(tree, history)
        _ = goesOn(tree)
    }
}

extension Volume {
    /// Keeps a scrub's result on the disk.
    func keep(_ result: ScrubResult) {
        guard !isReadOnly, !hasFailed else { return }
        do throws(FileError) {
            let outcome = try onFlushThread { volume -> Result<Void, FileError> in
                do throws(FileError) {
                    try volume.put(result)
                    return .success(())
                } catch {
                    return .failure(error)
                }
            }
            try outcome.get()
            try sync(evenIfClean: true)
        } catch {
            log("the result of the scrub is not kept: \(error)")
        }
    }

    /// Flush thread only.
    private func put(_ result: ScrubResult) throws(FileError) {
        try snapshots.put(ScrubRecord.key, ScrubRecord.value(result))
        for index in 0..<ScrubRecord.findingsMax {
            let key = ScrubRecord.findingKey(index)
            if index < result.findings.count {
                try snapshots.put(key, ScrubRecord.value(result.findings[index]))
            } else {
                try snapshots.remove(key)
            }
        }
    }

    /// The result that the disk has kept.
    func keptScrub() throws(FileError) -> ScrubResult? {
        guard let value = try snapshots.value(ScrubRecord.key) else { return nil }
        var findings: [[UInt8]] = []
        for index in 0..<ScrubRecord.findingsMax {
            guard let finding = try snapshots.value(ScrubRecord.findingKey(index)) else { break }
            findings.append(finding)
        }
        return ScrubRecord.result(value, findings: findings)
    }
}
