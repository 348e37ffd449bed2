import GefsFormat

/// What takes the place of the snapshot tree where its root is lost: the one of an earlier commit,
/// and a label for each tree that was made since.
///
/// What a commit replaces stays on the disk until a later one writes over it. The nodes of the
/// snapshot tree say by themselves what they were: roots of trees by address and hash, labels,
/// links. That nothing newer gets lost by going back follows from the logs: what they call
/// allocated, less what the last commit has put down to be freed, is just what it refers to (FORMAT
/// 8.5). So each such block has to be in the earlier state, in a tree that no other node names, or
/// in a list. Where nodes are left over, and it is not certain that they are whole trees, nothing
/// is done; `gefs rescue` copies out what there is.
struct LostHistory {
    /// A tree that the earlier state does not know.
    struct Stray {
        var root: TreeRoot
        /// The snapshot that it shares most with.
        var base: Generation
    }

    /// The step that makes the earlier snapshot tree the valid one.
    let round: RepairRound
    let strays: [Stray]
    let note: RepairNote

    /// - Returns: nil where the root is there, or what is left does not prove to be all.
    init?(_ device: any BlockDevice, progress: Checker.ProgressHandler?) {
        guard let source = ClosedDevice(device, log: FindingLog(perKindMax: 1)),
            source.arenas.count == source.superblock.arenas.count,
            source.arenas.allSatisfy(\.isMapKnown)
        else { return nil }
        let nodes = RepairNodes(device, tried: [])
        guard case .lost = nodes.node(source.superblock.snapshotTreeRoot),
            let search = LostHistorySearch(device, source, nodes, progress),
            let found = search.earlierTree(), let left = search.left(beside: found)
        else { return nil }
        strays = left.strays
        var superblock = source.superblock
        superblock.snapshotTreeRoot = found.root.pointer
        superblock.snapshotTreeHeight = UInt32(found.root.height)
        // What was to be freed is in part what the earlier state needs.
        superblock.pendingHead = .none
        superblock.pendingTail = .none
        let buffer = BlockBuffer()
        superblock.encode(into: buffer.mutableBytes)
        let backup = DeviceLayout.backupSuperblock(deviceBytes: source.deviceBytes)
        var round = RepairRound()
        round.primary = [StoreWrite(at: BlockAddress(rawValue: 0), buffer)]
        round.rest = [StoreWrite(at: BlockAddress(rawValue: backup), buffer)]
        self.round = round
        var text =
            "the root of the snapshot tree cannot be read: labels, snapshots and settings are "
            + "those of \(found.isLast ? "the" : "some") commit before; "
            + (strays.isEmpty
                ? "no tree made since is left" : "\(strays.count) trees made since get labels")
        if left.unknownBlocks > 0 { text += "; \(left.unknownBlocks) blocks made since are lost" }
        note = RepairNote(.lost, "tree", text)
    }
}

/// The look for an earlier snapshot tree, and for the trees that it does not know.
private final class LostHistorySearch {
    /// A snapshot tree that is there with all of its nodes.
    struct Earlier {
        var root: TreeRoot
        var records: [Generation: SnapshotRecord] = [:]
        var labels: [Key: LabelRecord] = [:]
        /// Whether the last commit put its root down to be freed: it is the one just before.
        var isLast = false

        var newest: Generation { records.keys.max() ?? .zero }
    }

    private let source: ClosedDevice
    private let nodes: RepairNodes
    private let table: ArenaTable
    private let found: ScannedNodes
    private let blockCount: Int
    private let inspector: RepairInspector
    /// Blocks that the last commit put down to be freed, and those that say so.
    private var pending: Set<Int> = []
    private var lists: Set<Int> = []
    private let free: BlockBits

    init?(
        _ device: any BlockDevice, _ source: ClosedDevice, _ nodes: RepairNodes,
        _ progress: Checker.ProgressHandler?
    ) {
        self.source = source
        self.nodes = nodes
        table = ArenaTable(source.arenas)
        blockCount = Int(source.deviceBytes / UInt64(Geometry.blockBytes))
        let scan = RescueScan(device, start: 0)
        let finds = scan.run { done in
            let state = CheckProgress(
                phase: .loading, bytesDone: done, bytesTotal: source.deviceBytes)
            return progress?(state) ?? true
        }
        guard let finds else { return nil }
        found = ScannedNodes(device, nodes: finds.nodes, start: 0, origin: 0)
        _ = found.link([]) { true }
        inspector = RepairInspector(
            nodes: nodes, table: table, blockCount: blockCount, badData: [], doubtfulBirths: [],
            nextGeneration: source.superblock.nextGeneration, sharedNodes: [])
        free = BlockBits(count: blockCount)
        for arena in source.arenas {
            source.forEachFreeRange(of: arena) { [free] range in
                let blockBytes = UInt64(Geometry.blockBytes)
                free.set(
                    Int(range.lowerBound / blockBytes)..<Int(range.upperBound / blockBytes),
                    to: true)
            }
        }
        guard readPending() else { return nil }
    }

    /// Reads the list of what was to be freed; whether all of it could be read.
    private func readPending() -> Bool {
        let head = source.superblock.pendingHead.address
        let tail = source.superblock.pendingTail.address
        guard !head.isNone else { return true }
        var address = head
        while let block = table.block(at: address), lists.insert(block).inserted {
            guard case .success(let buffer) = nodes.read(address),
                let view = try? ChainBlockView(
                    checking: buffer.bytes, at: address, expecting: .deadlist)
            else { return false }
            for entry in view.deadAddresses {
                if let block = table.block(at: entry) { pending.insert(block) }
            }
            if address == tail { return true }
            address = view.next.address
        }
        return false
    }

    // MARK: The earlier snapshot tree

    /// The newest snapshot tree that is there as a whole; nil where it is not certain which it is.
    func earlierTree() -> Earlier? {
        let trees = found.numbers.compactMap { number -> Earlier? in
            let flags = found[number].flags
            return flags.contains(.snapshots) && !flags.contains(.vouched) ? tree(number) : nil
        }
        if let last = trees.first(where: \.isLast) {
            return trees.count(where: \.isLast) == 1 ? last : nil
        }
        guard let newest = trees.max(by: { $0.newest < $1.newest }) else { return nil }
        // Making and deleting labels takes no generation: which of several came last is not known.
        let isCertain = trees.allSatisfy {
            $0.newest < newest.newest || $0.records == newest.records && $0.labels == newest.labels
        }
        return isCertain ? newest : nil
    }

    private func tree(_ number: ScannedNumber) -> Earlier? {
        let pointer = BlockPointer(
            address: found.address(of: number), hash: found[number].hash, generation: .zero)
        // What lies where the root was may look like one and not be what was written.
        guard pointer.address != source.superblock.snapshotTreeRoot.address,
            let block = table.block(at: pointer.address), let height = height(of: pointer)
        else { return nil }
        let root = TreeRoot(pointer: pointer, height: height)
        let space = RepairSpace(
            table: table, taken: BlockBits(count: 0), free: BlockBits(count: 0))
        let target = RepairTarget(nodes, space, generation: .zero)
        guard let scanned = try? RepairScan(target: target).pairs(root), scanned.misfits.isEmpty
        else { return nil }
        var tree = Earlier(root: root, isLast: pending.contains(block))
        for pair in scanned.pairs {
            switch pair.key.withBytes({ try? DecodedKey($0) }) {
            case .label:
                tree.labels[pair.key] = pair.value.withUnsafeBytes {
                    try? LabelRecord(decoding: $0)
                }
            case .snapshot(let generation):
                tree.records[generation] = pair.value.withUnsafeBytes {
                    try? SnapshotRecord(decoding: $0)
                }
            case .deadlist, .config: break
            case .data, .entry, .up, .inode, .link, .attribute, nil: return nil
            }
        }
        return isWhole(tree) ? tree : nil
    }

    /// Levels along first children.
    private func height(of root: BlockPointer) -> Int? {
        var pointer = root
        for height in 1...Geometry.treeHeightMax {
            guard case .whole(let buffer) = nodes.node(pointer),
                let node = try? NodeScan(buffer.base)
            else { return nil }
            if node.isLeaf { return height }
            guard let child = node.child(0)?.pointer else { return nil }
            pointer = child
        }
        return nil
    }

    /// Whether a tree has all that labels and links lead to, counts what is there, and all roots
    /// that it names are there. A part of one does not.
    private func isWhole(_ tree: Earlier) -> Bool {
        let records = tree.records
        guard records[.zero] != nil, tree.labels[Key.label("adm".utf8)] != nil,
            tree.labels[Key.label("empty".utf8)] != nil
        else { return false }
        var counts: [Generation: Int] = [:]
        for label in tree.labels.values { counts[label.generation, default: 0] += 1 }
        let links = records.values.flatMap { [$0.predecessor, $0.successor, $0.base] }
        return (links.filter { !$0.isNone } + counts.keys).allSatisfy { records[$0] != nil }
            && records.allSatisfy { generation, record in
                record.generation == generation
                    && generation < source.superblock.nextGeneration
                    && Int(record.labelCount) == counts[generation] ?? 0
                    // What the last commit put down to be freed was not written over yet.
                    && (tree.isLast || found.find(record.root) != nil)
            }
    }

    // MARK: What it does not know

    /// The trees that were made since, and how many blocks belong to nothing that is there; nil where
    /// it is not certain that nothing is cut or left out.
    func left(beside tree: Earlier) -> (strays: [LostHistory.Stray], unknownBlocks: Int)? {
        _ = inspector.inspect(
            root: tree.root.pointer, height: tree.root.height, holder: .zero, isSnapshotTree: true)
        var isDamaged = false
        for generation in tree.records.keys.sorted() {
            guard let record = tree.records[generation] else { continue }
            let inspection = inspector.inspect(
                root: record.root, height: Int(record.height), holder: generation,
                isSnapshotTree: false)
            if inspection.loss != nil || !inspection.lostRanges.isEmpty { isDamaged = true }
        }
        var strays: [LostHistory.Stray] = []
        for root in roots() {
            guard !isDamaged, let height = height(of: root) else { return nil }
            let inspection = inspector.inspect(
                root: root, height: height, holder: source.superblock.nextGeneration,
                isSnapshotTree: false)
            guard inspection.loss == nil, inspection.lostRanges.isEmpty else { return nil }
            strays.append(
                LostHistory.Stray(
                    root: TreeRoot(pointer: root, height: height),
                    base: relative(of: root, in: tree)))
        }
        // A leaf without data has nothing that proves it, and may be a whole small tree.
        let hasMore = found.numbers.contains { number in
            !found[number].flags.contains(.snapshots)
                && table.block(at: found.address(of: number)).map(isLeft) ?? false
        }
        guard !hasMore else { return nil }
        let unknownBlocks = unknownBlocks()
        // Without nodes of newer trees, whatever else there was of them leads to no file.
        let isCertain = unknownBlocks == 0 && !isDamaged || strays.isEmpty && tree.isLast
        return isCertain ? (strays, unknownBlocks) : nil
    }

    /// Whether the last commit may refer to a block, and the earlier state does not.
    private func isLeft(_ block: Int) -> Bool {
        !free[block] && !pending.contains(block) && !inspector.held[block]
    }

    /// Nodes in use that no other one of them names.
    private func roots() -> [BlockPointer] {
        var left: [BlockPointer] = []
        var named: Set<UInt64> = []
        for number in found.numbers {
            let address = found.address(of: number)
            guard !found[number].flags.contains(.snapshots), let block = table.block(at: address),
                isLeft(block), isNode(number)
            else { continue }
            left.append(
                BlockPointer(address: address, hash: found[number].hash, generation: .none))
            forEachChild(of: number) { named.insert($0.address.rawValue) }
        }
        return left.filter { !named.contains($0.address.rawValue) }
    }

    /// Whether a block is a node of this volume beyond doubt: another node names it, or it names
    /// other blocks rightly, which no other bytes can.
    private func isNode(_ number: ScannedNumber) -> Bool {
        if found[number].isBelieved { return true }
        guard found[number].isLeaf, let page = found.page(number) else { return false }
        let leaf = LeafView(unchecked: page.base)
        for index in 0..<leaf.count where DataKey(leaf.key(index)) != nil {
            if let pointer = DataPointer.decode(leaf.value(index)),
                nodes.data(pointer.address, hash: pointer.hash) != nil
            {
                return true
            }
        }
        return false
    }

    private func forEachChild(of number: ScannedNumber, _ body: (BlockPointer) -> Void) {
        guard !found[number].isLeaf, let page = found.page(number) else { return }
        let pivot = PivotView(unchecked: page.base)
        for index in 0..<pivot.childCount { body(pivot.pointer(index)) }
    }

    /// The blocks of a tree's nodes.
    private func nodeBlocks(_ root: BlockPointer) -> Set<UInt64> {
        var seen: Set<UInt64> = []
        var todo = [root]
        while let pointer = todo.popLast() {
            guard seen.insert(pointer.address.rawValue).inserted, let number = found.find(pointer)
            else { continue }
            forEachChild(of: number) { todo.append($0) }
        }
        return seen
    }

    /// The snapshot that has most nodes of a tree; of several the newest.
    private func relative(of root: BlockPointer, in tree: Earlier) -> Generation {
        let own = nodeBlocks(root)
        var best = (generation: Generation.zero, count: 0)
        for generation in tree.records.keys.sorted() {
            guard let record = tree.records[generation] else { continue }
            let count = nodeBlocks(record.root).intersection(own).count
            if count > 0, count >= best.count { best = (generation, count) }
        }
        return best.generation
    }

    /// How many blocks in use are none of a tree, of a log or of a list.
    private func unknownBlocks() -> Int {
        var known = lists
        for arena in source.arenas {
            known.formUnion(arena.logBlocks.compactMap { table.block(at: $0) })
        }
        if let root = table.block(at: source.superblock.snapshotTreeRoot.address) {
            known.insert(root)
        }
        for number in found.numbers where found[number].flags.contains(.snapshots) {
            if let block = table.block(at: found.address(of: number)) { known.insert(block) }
        }
        return source.arenas.enumerated().reduce(0) { sum, arena in
            let end = Int(arena.element.usableEnd / UInt64(Geometry.blockBytes))
            return sum
                + (table.blocks(of: arena.offset).lowerBound..<end).count {
                    isLeft($0) && !known.contains($0) && !isList($0)
                }
        }
    }

    /// Whether a block is one of a list of dead blocks.
    private func isList(_ block: Int) -> Bool {
        let address = BlockAddress(rawValue: UInt64(block) * UInt64(Geometry.blockBytes))
        guard case .success(let buffer) = nodes.read(address) else { return false }
        return
            (try? ChainBlockView(checking: buffer.bytes, at: address, expecting: .deadlist)) != nil
    }
}
