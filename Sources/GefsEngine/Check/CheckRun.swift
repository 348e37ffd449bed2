import GefsFormat

/// One check: the books that it keeps, and the order of its steps.
///
/// Confined to the calling thread, but for the data phase (`DataVerifier`).
final class CheckRun {
    let source: any CheckSource
    let log: FindingLog
    let options: CheckOptions
    let superblock: Superblock
    let arenas: ArenaTable
    /// Blocks that are free by the logs.
    let free: BlockBits
    /// Blocks on a deadlist.
    let dead: BlockBits
    let owners: BlockOwners
    let graph = NodeGraph()
    var report = CheckReport()

    // The walk through the trees, see CheckRun+Tree.
    var walk = TreeWalk()
    var snapshotTreeFlags: NodeGraph.Flags = []
    var labels: [(key: Key, record: LabelRecord)] = []
    var snapshots: [CheckedSnapshot] = []
    var history = HistoryForest()
    var deadlists: [CheckedDeadlist] = []
    /// Pointers to blocks on deadlists.
    var deadReferences: ContiguousArray<DeadReference> = []

    private let progress: Checker.ProgressHandler?
    private(set) var isCancelled = false
    private var position: CheckProgress
    private var unreportedBytes: UInt64 = 0
    private let pageReader: PageReader

    init(
        _ source: any CheckSource, log: FindingLog, options: CheckOptions,
        progress: Checker.ProgressHandler?
    ) {
        self.source = source
        self.log = log
        self.options = options
        self.progress = progress
        superblock = source.superblock
        arenas = ArenaTable(source.arenas)
        let blockCount = Int(source.deviceBytes / UInt64(Geometry.blockBytes))
        free = BlockBits(count: blockCount)
        dead = BlockBits(count: blockCount)
        owners = BlockOwners(blockCount: blockCount)
        position = CheckProgress(phase: .loading, bytesDone: 0, bytesTotal: 0)
        pageReader = PageReader(source)
    }

    func run() -> CheckReport {
        checkNumbers()
        loadFreeMap()
        enter(.trees)
        let snapshotRoot = walkSnapshotTree()
        collectSnapshots(snapshotRoot)
        readDeadlists()
        walkFileTrees()
        checkSnapshots()
        enter(.files)
        checkHierarchies()
        claimLogs()
        checkDeadEntries()
        checkLeaks()
        enter(.data)
        if options.verifiesData { verifyData() }
        if !isCancelled {
            position.bytesTotal = position.bytesDone
            // It is too late to stop.
            _ = progress?(position)
        }
        return finish()
    }

    private func finish() -> CheckReport {
        report.totals.arenas = superblock.arenas.count
        report.totals.labels = labels.count
        report.totals.snapshots = snapshots.count
        report.totals.deadlists = deadlists.count { $0.name != .pending }
        report.totals.commitGeneration = superblock.commitGeneration
        report.totals.nextGeneration = superblock.nextGeneration.rawValue
        report.totals.nextQid = superblock.nextQid
        report.totals.verifiedBytes =
            UInt64(report.totals.verifiedBlocks) * UInt64(Geometry.blockBytes)
        report.isCancelled = isCancelled
        report.isComplete =
            !isCancelled && options.verifiesData && arenas.arenas.allSatisfy(\.isMapKnown)
            && arenas.arenas.count == superblock.arenas.count
            && !snapshotTreeFlags.contains(.incomplete)
            && snapshots.allSatisfy { !$0.flags.contains(.incomplete) }
        log.write(to: &report)
        return report
    }

    /// A commit is refused when its superblock could not be read again. Source: FORMAT 3.
    private func checkNumbers() {
        let (next, commit) = (superblock.nextGeneration.rawValue, superblock.commitGeneration)
        if next >= 1 << 62 { fault(.volume(.numbersRunOut(next))) }
        if commit >= 1 << 54 { fault(.volume(.numbersRunOut(commit))) }
    }

    private func loadFreeMap() {
        let blockBytes = UInt64(Geometry.blockBytes)
        var allocated = 0
        for (place, arena) in arenas.arenas.enumerated() where arena.isMapKnown {
            let blocks = arenas.blocks(of: place)
            allocated += blocks.count
            source.forEachFreeRange(of: arena) { range in
                let part = Int(range.lowerBound / blockBytes)..<Int(range.upperBound / blockBytes)
                free.set(part.clamped(to: blocks), to: true)
                allocated -= part.count
            }
        }
        position.bytesTotal = UInt64(max(0, allocated)) * blockBytes
    }

    // MARK: progress

    func enter(_ phase: CheckProgress.Phase) {
        position.phase = phase
        reportProgress()
    }

    /// What is left to be read is known by now.
    func setRemaining(_ byteCount: UInt64) {
        position.bytesTotal = position.bytesDone + byteCount
    }

    /// Notes that blocks were read and verified.
    func advance(blocks: Int) {
        report.totals.verifiedBlocks += blocks
        let byteCount = UInt64(blocks * Geometry.blockBytes)
        position.bytesDone += byteCount
        unreportedBytes += byteCount
        if unreportedBytes >= 4 << 20 { reportProgress() }
    }

    /// Asks whether to go on, without anything having been read.
    func reportProgress() {
        unreportedBytes = 0
        position.bytesTotal = max(position.bytesTotal, position.bytesDone)
        if let progress, !isCancelled, !progress(position) { isCancelled = true }
    }

    // MARK: reading

    /// A page of a node that was verified before. Its form is checked again, since the device may
    /// by now return anything.
    func page(_ number: NodeNumber) -> NodePage? {
        pageReader.page(graph[number].pointer.address)
    }
}
