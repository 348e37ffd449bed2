import GefsFormat

/// The look for an earlier snapshot tree, and for the trees that it does not know.
final class LostHistorySearch {
    /// What the earlier tree does not know.
    struct Left {
        /// What becomes the root of the snapshot tree.
        var root: TreeRoot?
        var strays: [LostHistory.Stray] = []
        /// Trees that may be older ones, too many to keep all.
        var leftOut = 0
        /// Blocks in use that belong to nothing that is there.
        var unknownBlocks = 0
    }

    private let source: ClosedDevice
    private let nodes: RepairNodes
    private let arenas: [CheckedArena]
    private let table: ArenaTable
    private let found: ScannedNodes
    private let ages: TreeAges
    private let timeline: CommitTimeline
    private let isMadeAnew: Bool
    /// The first number of a snapshot that is not taken; nil where nobody knows.
    private let limit: Generation?
    private let inspector: RepairInspector
    /// Blocks that the last commit put down to be freed, and those that say so.
    private var pending: Set<Int> = []
    private(set) var lists: Set<Int> = []
    private var knowsPending = false
    private let free: BlockBits

    /// Most trees of unknown age that get labels: without its log an arena may be full of old ones.
    private static let doubtfulMax = 32
    private static let blockBytes = UInt64(Geometry.blockBytes)

    init?(
        _ device: any BlockDevice, _ source: ClosedDevice, _ nodes: RepairNodes,
        _ knowledge: LostHistory.Knowledge, _ progress: Checker.ProgressHandler?
    ) {
        self.source = source
        self.nodes = nodes
        isMadeAnew = knowledge != .all
        limit = knowledge == .none ? nil : source.superblock.nextGeneration
        arenas = RepairLayout(source, device, nodes).arenas
        table = ArenaTable(arenas)
        let blockCount = Int(source.deviceBytes / Self.blockBytes)
        let scan = RescueScan(device, start: 0)
        let finds = scan.run { done in
            let state = CheckProgress(
                phase: .loading, bytesDone: done, bytesTotal: source.deviceBytes)
            return progress?(state) ?? true
        }
        guard let finds else { return nil }
        found = ScannedNodes(device, nodes: finds.nodes, start: 0, origin: 0)
        _ = found.link([]) { true }
        ages = TreeAges(found: found)
        timeline = CommitTimeline(
            of: found.numbers.map { [found] in
                Int(clamping: found.address(of: $0).rawValue / Self.blockBytes)
            }, finds.logs.map { BlockAddress(rawValue: $0 * Self.blockBytes) }, nodes, table)
        found.markData { true }
        inspector = RepairInspector(
            nodes: nodes, table: table, blockCount: blockCount, badData: [], doubtfulBirths: [],
            nextGeneration: isMadeAnew
                ? Generation(rawValue: .max >> 1) : source.superblock.nextGeneration,
            sharedNodes: [])
        free = source.freeBlocks()
        knowsPending = readPending()
    }

    /// Reads the list of what was to be freed, as far as it can be read; whether all of it was.
    private func readPending() -> Bool {
        if isMadeAnew { return false }
        if source.superblock.pendingHead.address.isNone { return true }
        let tail = source.superblock.pendingTail.address
        var address = source.superblock.pendingHead.address
        while let block = table.block(at: address), lists.insert(block).inserted {
            guard case .success(let buffer) = nodes.read(address),
                let view = try? ChainBlockView(
                    checking: buffer.bytes, at: address, expecting: .deadlist)
            else { return false }
            for entry in view.deadAddresses {
                if let block = table.block(at: entry) { pending.insert(block) }
            }
            guard address != tail else { return true }
            address = view.next.address
        }
        return false
    }

    // MARK: Numbers that are taken

    /// Puts in what only the files tell.
    func count(into superblock: inout Superblock) {
        let limit: UInt64 = 1 << 62
        var qid = superblock.nextQid
        var generation = superblock.nextGeneration.rawValue
        for number in found.numbers where found[number].isBelieved {
            let node = found[number]
            if node.flags.contains(.posix) { superblock.features.insert(.posix) }
            if node.newestGeneration < limit {
                generation = max(generation, node.newestGeneration + 1)
            }
            guard !node.flags.contains(.snapshots), let page = found.page(number) else { continue }
            ScannedNodes.forEachPair(in: page, isLeaf: node.isLeaf) { _, value in
                guard let entry = try? DirectoryEntry(decoding: value), entry.qidPath < limit
                else { return }
                qid = max(qid, entry.qidPath + 1)
            }
        }
        superblock.nextQid = qid
        superblock.nextGeneration = Generation(rawValue: generation)
    }

    // MARK: The earlier snapshot tree

    /// The newest snapshot tree that is there.
    ///
    /// - Parameter rival: where a superblock says that it is. It stays that one while nothing is
    ///   found that is newer by what it holds: one forged log can say anything.
    func earlierTree(newerThan rival: BlockPointer?) -> EarlierTree? {
        var best: EarlierTree?
        let rival = rival.flatMap { found.find($0) }.flatMap { tree($0) }
        for number in found.numbers {
            let flags = found[number].flags
            guard flags.contains(.snapshots), !flags.contains(.vouched), let tree = tree(number)
            else { continue }
            if let rival, isNewer(tree, than: rival) != true { continue }
            if best.map({ isBetter(tree, than: $0) }) ?? true { best = tree }
        }
        return best
    }

    /// Which of two trees is newer by the files and snapshots that they have; nil where they do not
    /// differ in that.
    private func isNewer(_ tree: EarlierTree, than other: EarlierTree) -> Bool? {
        let isNewer = ages.isNewer(
            ages.nodes(below: tree.records.values.lazy.map(\.root)),
            than: ages.nodes(below: other.records.values.lazy.map(\.root)))
        if let isNewer { return isNewer }
        return tree.newest == other.newest ? nil : tree.newest > other.newest
    }

    /// Whether one is a better stand-in for the last snapshot tree than another.
    private func isBetter(_ tree: EarlierTree, than other: EarlierTree) -> Bool {
        if tree.isLast != other.isLast { return tree.isLast }
        if tree.hasAllRoots != other.hasAllRoots { return tree.hasAllRoots }
        if let isNewer = isNewer(tree, than: other) { return isNewer }
        return (tree.commit ?? 0, tree.labels.count) > (other.commit ?? 0, other.labels.count)
    }

    private func tree(_ number: ScannedNumber) -> EarlierTree? {
        let pointer = BlockPointer(
            address: found.address(of: number), hash: found[number].hash, generation: .zero)
        // What lies where the root was may look like one and not be what was written.
        guard pointer.address != source.superblock.snapshotTreeRoot.address,
            let block = table.block(at: pointer.address), let height = height(of: pointer),
            isTree(pointer)
        else { return nil }
        let root = TreeRoot(pointer: pointer, height: height)
        let space = RepairSpace(
            table: table, taken: BlockBits(count: 0), free: BlockBits(count: 0))
        let target = RepairTarget(nodes, space, generation: .zero)
        guard let scanned = try? RepairScan(target: target).pairs(root), scanned.misfits.isEmpty
        else { return nil }
        var tree = EarlierTree(root: root, commit: timeline.commit(of: block))
        // The root that the last commit replaced is that of the one before.
        tree.isLast =
            isMadeAnew
            ? tree.commit == source.superblock.commitGeneration : pending.contains(block)
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
        guard tree.isWhole, limit.map({ tree.newest < $0 }) ?? true else { return nil }
        let roots = tree.records.values.map { found.find($0.root) != nil }
        tree.hasAllRoots = roots.allSatisfy { $0 }
        return roots.contains(true) ? tree : nil
    }

    /// Whether all nodes below a root are there, each once.
    private func isTree(_ root: BlockPointer) -> Bool {
        var seen: Set<UInt64> = []
        var todo = [root]
        while let pointer = todo.popLast() {
            guard seen.insert(pointer.address.rawValue).inserted, let number = found.find(pointer)
            else { return false }
            found.forEachChild(of: number) { todo.append($0) }
        }
        return true
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

    // MARK: What it does not know

    /// The trees that were made since.
    ///
    /// - Parameter nextGeneration: of the snapshot that the first of them will be.
    func left(beside tree: EarlierTree, nextGeneration: Generation) throws(RepairError) -> Left {
        if let root = tree.root {
            _ = inspector.inspect(
                root: root.pointer, height: root.height, holder: .zero, isSnapshotTree: true)
        }
        var bases: [Generation: TreeFragment] = [:]
        for generation in tree.records.keys.sorted() {
            guard let record = tree.records[generation] else { continue }
            let inspection = inspector.inspect(
                root: record.root, height: Int(record.height), holder: generation,
                isSnapshotTree: false)
            guard inspection.loss == nil else { continue }
            bases[generation] = TreeFragment(
                root: TreeRoot(pointer: record.root, height: inspection.height),
                hasRootDirectory: true,
                base: generation, inspection: inspection)
        }
        var left = Left()
        let known = tree.records.mapValues { ages.nodes(below: [$0.root]) }
        var doubtful = 0
        var parts: [TreeFragment] = []
        for root in roots(since: tree.commit) {
            let own = ages.nodes(below: [root.pointer])
            let base = relative(of: own, in: known)
            if root.isDoubtful {
                if let nodes = known[base], !nodes.isDisjoint(with: own),
                    ages.isNewer(own, than: nodes) != true
                {
                    continue
                }
                doubtful += 1
                guard doubtful <= Self.doubtfulMax else {
                    left.leftOut += 1
                    continue
                }
            }
            guard let height = height(below: root.pointer) else { continue }
            let inspection = inspector.inspect(
                root: root.pointer, height: height, holder: nextGeneration, isSnapshotTree: false)
            parts.append(
                TreeFragment(
                    root: TreeRoot(pointer: root.pointer, height: height),
                    hasRootDirectory: hasRootDirectory(own), base: base, inspection: inspection))
        }
        left.unknownBlocks = unknownBlocks()
        let space = RepairSpace(table: table, taken: taken(), free: free)
        let joiner = TreeFragments(nodes: nodes, space: space, table: table, bases: bases)
        left.strays = try joiner.joined(parts) { index in
            Generation(rawValue: nextGeneration.rawValue + UInt64(index))
        }
        left.root = tree.root
        if tree.root == nil, !left.strays.isEmpty {
            // Of a volume that has lost all labels the one that each has is known.
            let commit = RepairCommit(nodes: nodes, space: space, table: table)
            let label = LabelRecord(generation: .zero, flags: 0)
            left.root = try commit.tree([Key.label("empty".utf8): label.encoded()])
        }
        return left
    }

    /// Whether some nodes have the entry of a root directory.
    private func hasRootDirectory(_ numbers: Set<ScannedNumber>) -> Bool {
        let key = Key.entry(parent: .max, name: [UInt8]())
        return numbers.contains { number in
            guard let page = found.page(number) else { return false }
            var isFound = false
            ScannedNodes.forEachPair(in: page, isLeaf: found[number].isLeaf) { found, _ in
                if found.elementsEqual(key.bytes) { isFound = true }
            }
            return isFound
        }
    }

    /// Blocks that what was found, logs and lists lie in.
    private func taken() -> BlockBits {
        let bits = inspector.held
        for block in lists { bits.insert(block) }
        for address in arenas.flatMap(\.logBlocks) {
            if let block = table.block(at: address) { bits.insert(block) }
        }
        return bits
    }

    /// Levels below a node, of which some may be lost.
    private func height(below root: BlockPointer) -> Int? {
        var level: Set<BlockPointer> = [root]
        for height in 1...Geometry.treeHeightMax {
            var next: Set<BlockPointer> = []
            for pointer in level {
                guard let number = found.find(pointer) else { continue }
                if found[number].isLeaf { return height }
                found.forEachChild(of: number) { next.insert($0) }
            }
            guard !next.isEmpty else { return nil }
            level = next
        }
        return nil
    }

    /// Whether the last commit may refer to a block that the earlier state does not know.
    private func isLeft(_ block: Int) -> Bool {
        !free[block] && !pending.contains(block) && !inspector.held[block]
    }

    /// Whether the last commit does refer to a block that it may refer to: what is in use by the
    /// logs, and not pending (FORMAT 8.5). That a block was freed and used again between two
    /// commits is in no log, so logs tell nothing of a block but that it is not older.
    private func isCertain(_ block: Int, since commit: UInt64?) -> Bool {
        guard let position = table.position(of: block), arenas[position].isMapKnown else {
            return false
        }
        guard !knowsPending else { return true }
        guard let commit, let made = timeline.commit(of: block) else { return false }
        return made > commit
    }

    /// A node that no other one names.
    private struct Root {
        var pointer: BlockPointer
        /// Whether it may be older than the state that it was not found in.
        var isDoubtful: Bool
    }

    /// Nodes in use that no other one of them names, the newest first.
    private func roots(since commit: UInt64?) -> [Root] {
        var left: [(root: Root, generation: UInt64, time: Int64)] = []
        var named: Set<UInt64> = []
        for number in found.numbers {
            let address = found.address(of: number)
            let node = found[number]
            guard node.flags.isDisjoint(with: [.snapshots, .data]),
                let block = table.block(at: address), isLeft(block)
            else { continue }
            // Where it was in use at the end its form is enough. Else it has to be proved.
            let isDoubtful = !isCertain(block, since: commit)
            guard !isDoubtful || isNode(number) else { continue }
            let pointer = BlockPointer(address: address, hash: node.hash, generation: .none)
            left.append(
                (
                    Root(pointer: pointer, isDoubtful: isDoubtful), node.newestGeneration,
                    node.newestTime
                ))
            found.forEachChild(of: number) { named.insert($0.address.rawValue) }
        }
        left.sort { ($0.generation, $0.time) > ($1.generation, $1.time) }
        return left.map(\.root).filter { !named.contains($0.pointer.address.rawValue) }
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

    /// The snapshot that has most nodes of a tree; of several the newest.
    private func relative(
        of own: Set<ScannedNumber>, in known: [Generation: Set<ScannedNumber>]
    ) -> Generation {
        var best = (generation: Generation.zero, count: 0)
        for (generation, nodes) in known.sorted(by: { $0.key < $1.key }) {
            let count = nodes.intersection(own).count
            if count > 0, count >= best.count { best = (generation, count) }
        }
        return best.generation
    }

    /// How many blocks in use are none of a tree, of a log or of a list.
    private func unknownBlocks() -> Int {
        var known = lists
        for arena in arenas {
            known.formUnion(arena.logBlocks.compactMap { table.block(at: $0) })
        }
        if let root = table.block(at: source.superblock.snapshotTreeRoot.address) {
            known.insert(root)
        }
        for number in found.numbers where found[number].flags.contains(.snapshots) {
            if let block = table.block(at: found.address(of: number)) { known.insert(block) }
        }
        return arenas.enumerated().filter(\.element.isMapKnown).reduce(0) { sum, arena in
            let end = Int(arena.element.usableEnd / Self.blockBytes)
            return sum
                + (table.blocks(of: arena.offset).lowerBound..<end).count {
                    isLeft($0) && !known.contains($0) && !isList($0)
                }
        }
    }

    /// Whether a block is one of a list of dead blocks.
    private func isList(_ block: Int) -> Bool {
        let address = BlockAddress(rawValue: UInt64(block) * Self.blockBytes)
        guard case .success(let buffer) = nodes.read(address) else { return false }
        return
            (try? ChainBlockView(checking: buffer.bytes, at: address, expecting: .deadlist)) != nil
    }
}
