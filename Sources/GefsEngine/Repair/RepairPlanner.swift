import GefsFormat

/// What is to be done in one step, and what to tell.
struct RepairStep {
    var round: RepairRound
    var notes: [RepairNote]
    /// Blocks in which a wrong bit was looked for.
    var tried: Set<BlockAddress>
}

/// Works out one step of a repair. Nothing is written.
///
/// The walk of everything that the snapshot tree leads to says what is there; all else, lists, logs,
/// counts, follows from that and is made anew.
final class RepairPlanner {
    private let device: any BlockDevice
    private let source: ClosedDevice
    private let report: CheckReport
    private let badData: Set<BlockPointer>
    private let strays: [LostHistory.Stray]
    private let spared: Set<Int>
    private let now: Int64
    private let nodes: RepairNodes
    private let layout: RepairLayout
    private let table: ArenaTable
    private let blockCount: Int
    private var inspector: RepairInspector
    private var inspections: [Generation: TreeInspection] = [:]
    private var history: HistoryRepair
    private var superblock: Superblock
    private var notes = RepairNotes()

    private static let blockBytes = UInt64(Geometry.blockBytes)

    /// - Parameters:
    ///   - badData: pointers to file data, without generation, that the data does not match.
    ///   - strays: trees that get a snapshot and a label of their own.
    ///   - spared: blocks that nothing is written to.
    ///   - tried: blocks in which a wrong bit was looked for.
    ///   - now: nanoseconds since 1970, for names.
    init(
        _ device: any BlockDevice, _ report: CheckReport, badData: Set<BlockPointer>,
        strays: [LostHistory.Stray] = [], spared: Set<Int> = [], tried: Set<BlockAddress>,
        now: Int64
    ) throws(RepairError) {
        let log = FindingLog(perKindMax: 1)
        guard let source = ClosedDevice(device, log: log) else {
            throw .noSnapshotTree("no superblock is usable")
        }
        self.device = device
        self.source = source
        self.report = report
        self.badData = badData
        self.strays = strays
        self.spared = spared
        self.now = now
        nodes = RepairNodes(device, tried: tried)
        layout = RepairLayout(source, device, nodes)
        table = ArenaTable(layout.arenas)
        blockCount = Int(source.deviceBytes / Self.blockBytes)
        superblock = source.superblock
        history = HistoryRepair([], badKeys: [], isIncomplete: true)
        inspector = RepairInspector(
            nodes: nodes, table: table, blockCount: 0, badData: [], doubtfulBirths: [],
            nextGeneration: .zero, sharedNodes: [])
    }

    /// Works it out.
    func plan() throws(RepairError) -> RepairStep {
        var round = RepairRound()
        round.copies = layout.copies
        notes.add(layout.notes)
        guard !isOnlyCopies else { return step(round) }
        try survey()
        superblock.nextGeneration = generation(ofStray: strays.count)
        round.copies += nodes.corrected
        notes.add(nodes.notes)
        let space = RepairSpace(table: table, taken: taken(), free: source.freeBlocks())
        let trees = RepairTrees(
            nodes: nodes, space: space, inspector: inspector, notes: notes,
            nextQid: superblock.nextQid, nextGeneration: superblock.nextGeneration, now: now)
        // They have no snapshot of before that would clear what is left of removed files.
        try trees.mend(
            &history, inspections, needed: treesWithFindings.union(adopted.keys),
            patched: Set(adopted.filter(\.value.isPatched).keys))
        notes = trees.notes
        superblock.nextQid = trees.nextQid
        superblock.nextGeneration = trees.nextGeneration
        if report.findings.contains(where: { $0.kind == "block.ownedTwice" }) {
            try LineSeparation(nodes, space, table, blockCount: blockCount).run(&history)
        }
        try commit(space, &round)
        return step(round)
    }

    private func step(_ round: RepairRound) -> RepairStep {
        RepairStep(round: round, notes: notes.all, tried: nodes.tried)
    }

    /// Whether all that is wrong is one of two copies each.
    private var isOnlyCopies: Bool {
        let kinds: Set<String> = [
            "volume.superblockUnusable", "volume.superblockUnreadable", "volume.superblocksDiffer",
            "arena.damaged", "arena.outdated", "arena.unreadable",
        ]
        return strays.isEmpty
            && report.counts.allSatisfy {
                kinds.contains($0.kind) || !DeviceRepair.isWrong($0)
            } && !layout.copies.isEmpty
    }

    // MARK: What is there

    private func survey() throws(RepairError) {
        var sharedNodes: Set<Int> = []
        while true {
            try survey(sharedNodes)
            guard !inspector.sharedNodes.isSubset(of: sharedNodes) else { return }
            sharedNodes.formUnion(inspector.sharedNodes)
        }
    }

    private func survey(_ sharedNodes: Set<Int>) throws(RepairError) {
        inspector = RepairInspector(
            nodes: nodes, table: table, blockCount: blockCount, badData: badData,
            doubtfulBirths: doubtfulBirths, nextGeneration: superblock.nextGeneration,
            sharedNodes: sharedNodes)
        let inspection = inspector.inspect(
            root: superblock.snapshotTreeRoot, height: Int(superblock.snapshotTreeHeight),
            holder: .zero, isSnapshotTree: true)
        if let loss = inspection.loss { throw .noSnapshotTree(loss) }
        let target = RepairTarget(
            nodes, RepairSpace(table: table, taken: BlockBits(count: 0), free: BlockBits(count: 0)),
            generation: .zero, replaced: inspection.replaced)
        let (pairs, _) = try RepairScan(target: target).pairs(
            TreeRoot(pointer: superblock.snapshotTreeRoot, height: inspection.height))
        lists = pairs
        history = HistoryRepair(
            pairs, badKeys: inspection.badKeys, isIncomplete: !inspection.lostRanges.isEmpty)
        for (low, high, why) in inspection.lostRanges {
            history.add(
                RepairNote(
                    .lost, "tree",
                    "of the snapshot tree, \(low?.outline ?? "the first key") up to "
                        + "\(high?.outline ?? "the last key"): \(why). Trees whose roots are still "
                        + "there can be had back by gefs rescue, before anything else is written"))
        }
        adoptStrays()
        inspections = [:]
        for generation in history.records.keys.sorted() {
            guard let record = history.records[generation] else { continue }
            inspections[generation] = inspector.inspect(
                root: record.root, height: Int(record.height), holder: generation,
                isSnapshotTree: false)
        }
    }

    private func generation(ofStray index: Int) -> Generation {
        Generation(rawValue: superblock.nextGeneration.rawValue + UInt64(index))
    }

    /// The snapshots that trees without one get.
    private var adopted: [Generation: LostHistory.Stray] = [:]

    /// Gives trees that no snapshot has one each, as forks of those that they share most with.
    private func adoptStrays() {
        for (index, stray) in strays.enumerated() {
            let generation = generation(ofStray: index)
            adopted[generation] = stray
            var root = stray.root.pointer
            root.generation = generation
            history.records[generation] = SnapshotRecord(
                referenceCount: 0, labelCount: 1, height: UInt32(stray.root.height),
                generation: generation, predecessor: stray.base, base: stray.base, root: root)
            let name = RepairTrees.label(at: now, suffix: ".\(generation)")
            history.labels[name] = LabelRecord(generation: generation, flags: 0)
            history.settings[Key.config(LabelTime.keyPrefix + name)] = Array("\(now)".utf8)
            let near = history.names(of: stray.base).first ?? "snapshot \(stray.base)"
            history.add(
                RepairNote(
                    .moved, "label", "a newer tree of unknown name, near to that of \(near)",
                    labels: [String(decoding: name, as: UTF8.self)]))
        }
    }

    /// What the snapshot tree held.
    private var lists: [RepairScan.Pair] = []

    private var doubtfulBirths: Set<Int> {
        var blocks: Set<Int> = []
        for finding in report.findings {
            guard case .block(let address, _, let fault) = finding.what,
                let block = table.block(at: address)
            else { continue }
            switch fault {
            case .births, .bornInFuture, .bornLater: blocks.insert(block)
            default: break
            }
        }
        return blocks
    }

    /// Snapshots whose files a check has found something wrong with.
    private var treesWithFindings: Set<Generation> {
        var trees: Set<Generation> = []
        for finding in report.findings where finding.severity == .error {
            if case .files(.files(let generation, _), _) = finding.what { trees.insert(generation) }
        }
        return trees
    }

    /// Blocks that the state on disk needs for as long as it is the valid one.
    private func taken() -> BlockBits {
        let bits = BlockBits(count: blockCount)
        var position = 0
        while position < blockCount {
            let end = inspector.held.endOfRun(from: position, to: blockCount)
            if inspector.held[position] { bits.set(position..<end, to: true) }
            position = end
        }
        for arena in table.arenas {
            for address in arena.logBlocks {
                if let block = table.block(at: address) { bits.insert(block) }
            }
        }
        var chains = [DeadlistRecord(head: superblock.pendingHead, tail: superblock.pendingTail)]
        for pair in lists where pair.key.bytes.first == KeyKind.deadlist.rawValue {
            if let list = pair.value.withUnsafeBytes({ try? DeadlistRecord(decoding: $0) }) {
                chains.append(list)
            }
        }
        for chain in chains { takeChain(chain, bits) }
        for block in spared { bits.insert(block) }
        return bits
    }

    private func takeChain(_ chain: DeadlistRecord, _ bits: BlockBits) {
        var address = chain.head.address
        var seen: Set<BlockAddress> = []
        while let block = table.block(at: address), seen.insert(address).inserted {
            bits.insert(block)
            guard address != chain.tail.address, case .success(let buffer) = nodes.read(address),
                let view = try? ChainBlockView(
                    checking: buffer.bytes, at: address, expecting: .deadlist)
            else { return }
            address = view.next.address
        }
    }

    // MARK: The new state

    private func commit(_ space: RepairSpace, _ round: inout RepairRound) throws(RepairError) {
        let commit = RepairCommit(nodes: nodes, space: space, table: table)
        let newest = history.records.keys.max() ?? .zero
        if superblock.nextGeneration <= newest {
            superblock.nextGeneration = Generation(rawValue: newest.rawValue + 1)
        }
        var pairs: [Key: [UInt8]] = [:]
        for (name, label) in history.labels { pairs[Key.label(name)] = label.encoded() }
        for (generation, record) in history.records {
            pairs[Key.snapshot(generation)] = record.encoded()
        }
        for (key, value) in history.settings
        where !key.bytes.dropFirst().starts(with: TreeSize.keyPrefix) {
            pairs[key] = value
        }
        // The lists follow from the trees, whose blocks are all placed by now.
        let deadlists = DeadlistRepair(nodes, table, blockCount: blockCount)
        try deadlists.run(history.records)
        for (name, blocks) in deadlists.lists {
            let record = try commit.chain(blocks)
            try deadlists.claimChain(record)
            pairs[Key.deadlist(name.generation, birth: name.birth)] = record.encoded()
        }
        let root = try commit.tree(pairs)
        try deadlists.claim(root)
        superblock.snapshotTreeRoot = root.pointer
        superblock.snapshotTreeHeight = UInt32(root.height)
        superblock.pendingHead = .none
        superblock.pendingTail = .none
        superblock.commitGeneration = layout.commitGeneration + 1
        superblock.arenas = try commit.logs(
            used: deadlists.used, barrier: superblock.commitGeneration, round: &round)
        round.body += nodes.writes
        round.putSuperblocks(superblock, deviceBytes: source.deviceBytes)
        notes.add(history.notes)
        noteSpace()
    }

    /// Tells of the findings that no other note is about, kind by kind.
    private func noteSpace() {
        for count in report.counts where DeviceRepair.isWrong(count) {
            guard let subject = Self.subject(of: count.kind),
                let first = report.findings.first(where: {
                    $0.kind == count.kind && $0.severity == count.severity
                })
            else { continue }
            let more = count.count > 1 ? " and \(count.count - 1) more of that kind" : ""
            notes.add(RepairNote(.mended, subject, "\(first)\(more)"))
        }
    }

    /// What a kind of finding is about; nil for those that have notes of their own.
    private static func subject(of kind: String) -> String? {
        switch kind.prefix(while: { $0 != "." }) {
        case "arena":
            kind.hasPrefix("arena.log") || kind == "arena.noBarrier"
                ? "log" : kind == "arena.pastEnd" ? "arena" : nil
        case "block": ["block.hash", "block.unreadable"].contains(kind) ? nil : "block"
        case "node": "tree"
        case "files": "file"
        case "snapshot": "record"
        case "deadlist": "deadlist"
        case "space": "space"
        default: nil
        }
    }
}
