import GefsFormat

/// Gives each line of snapshots blocks of its own where two lines have the same.
///
/// Who drops a snapshot frees what was born behind the one before it, so a block that two lines
/// have on their own is lost to one of them when the other one goes (FORMAT 8.4). Who has it
/// rightly need not be told: the oldest snapshot keeps it, and the other line gets a copy, from its
/// first snapshot that has the block on. Nodes that lead to a copy are written anew, as copies
/// with other pointers, so that no key and no message moves.
///
/// Trees have to be readable, and blocks to be used for one thing only.
final class LineSeparation {
    private let nodes: RepairNodes
    private let space: RepairSpace
    private let table: ArenaTable
    private let owners: BlockOwners
    private var snapshots: [CheckedSnapshot] = []
    private var history = HistoryForest()
    /// What became of blocks in the tree of each snapshot: of its own, and what it has from those
    /// before it.
    private var moved: [[BlockPointer: BlockPointer]] = []
    /// The nodes below pivots, by block.
    private var children: [Int: [Int]] = [:]
    /// The nodes of the snapshot before the one that is walked.
    private var inherited: Set<Int> = []
    private var inheritedPlace: Int?
    /// Nodes of the tree being walked that stay as they are.
    private var unchanged: Set<Int> = []
    private var place = 0
    private var copyCount = 0

    init(_ nodes: RepairNodes, _ space: RepairSpace, _ table: ArenaTable, blockCount: Int) {
        self.nodes = nodes
        self.space = space
        self.table = table
        owners = BlockOwners(blockCount: blockCount)
    }

    /// Changes the trees of these snapshots.
    func run(_ repaired: inout HistoryRepair) throws(RepairError) {
        snapshots = repaired.records.keys.sorted().compactMap { generation in
            repaired.records[generation].map {
                CheckedSnapshot(
                    generation: generation, record: $0, name: .files(generation, labels: []),
                    labelCount: 0)
            }
        }
        history = HistoryForest(snapshots)
        for index in snapshots.indices {
            let record = snapshots[index].record
            place = index
            copyCount = 0
            unchanged = []
            let before = history.before(index)
            moved.append(before.map { moved[$0] } ?? [:])
            inherit(from: before)
            let root = try visit(record.root)
            guard root != record.root else { continue }
            repaired.setRoot(
                record.generation, TreeRoot(pointer: root, height: Int(record.height)))
            guard copyCount > 0 else { continue }
            let names = repaired.names(of: record.generation)
            repaired.add(
                RepairNote(
                    .mended, "tree",
                    "\(copyCount) blocks that another line of snapshots has, too, are copied",
                    labels: names.isEmpty ? ["snapshot \(record.generation)"] : names))
        }
    }

    /// Makes the nodes of a snapshot those that the next one has from it.
    private func inherit(from before: Int?) {
        guard inheritedPlace != before else { return }
        inheritedPlace = before
        inherited = []
        guard let before, let root = table.block(at: snapshots[before].record.root.address) else {
            return
        }
        var todo = [root]
        while let block = todo.popLast() {
            if inherited.insert(block).inserted { todo += children[block] ?? [] }
        }
    }

    // MARK: One tree

    private func visit(_ pointer: BlockPointer) throws(RepairError) -> BlockPointer {
        if let known = moved[place][pointer] { return known }
        guard let block = table.block(at: pointer.address), !inherited.contains(block),
            !unchanged.contains(block)
        else { return pointer }
        let isForeign = isForeign(block, pointer, .node)
        guard case .whole(let buffer) = nodes.node(pointer),
            let node = try? NodeScan(buffer.base)
        else { throw .unreadable("block \(pointer.address) cannot be read") }
        defer { withExtendedLifetime(buffer) {} }
        var changes: [(offset: Int, pointer: BlockPointer)] = []
        func note(_ old: BlockPointer, _ new: BlockPointer, _ value: UnsafeRawBufferPointer) {
            guard old != new, let start = value.baseAddress else { return }
            changes.append((start - UnsafeRawPointer(buffer.base), new))
        }
        for index in 0..<node.messageCount
        where node.messageKind(index) == MessageKind.insert.rawValue {
            let key = node.messageKey(index)
            guard DataKey(key) != nil, let old = DataPointer.decode(node.value(behind: key)) else {
                continue
            }
            note(old, try visitData(old), node.value(behind: key))
        }
        var below: [Int] = []
        for index in 0..<node.count {
            let value = node.value(behind: node.key(index))
            if let child = node.isLeaf ? nil : node.child(index)?.pointer {
                if let block = table.block(at: child.address) { below.append(block) }
                note(child, try visit(child), value)
            } else if DataKey(node.key(index)) != nil, let old = DataPointer.decode(value) {
                note(old, try visitData(old), value)
            }
        }
        if !node.isLeaf { children[block] = below }
        guard isForeign || !changes.isEmpty else {
            unchanged.insert(block)
            return pointer
        }
        let copy = nodes.pool.make()
        copy.mutableBytes.copyMemory(from: buffer.bytes)
        for change in changes { change.pointer.encode(into: copy.base + change.offset) }
        return try add(
            copy, for: pointer, isForeign: isForeign,
            bornBehind: changes.map(\.pointer.generation).max())
    }

    private func visitData(_ pointer: BlockPointer) throws(RepairError) -> BlockPointer {
        if let known = moved[place][pointer] { return known }
        guard let block = table.block(at: pointer.address), isForeign(block, pointer, .data) else {
            return pointer
        }
        guard let buffer = nodes.data(pointer.address, hash: pointer.hash) else {
            throw .unreadable("block \(pointer.address) cannot be read")
        }
        return try add(buffer, for: pointer, isForeign: true, bornBehind: nil)
    }

    /// Puts a block in the place of one, for this snapshot and those that come behind it.
    private func add(
        _ buffer: BlockBuffer, for pointer: BlockPointer, isForeign: Bool,
        bornBehind births: Generation?
    ) throws(RepairError) -> BlockPointer {
        let address = try space.allocate()
        nodes.add(buffer, at: address)
        // Its own line frees it only if it is born in the span of the first snapshot that has it.
        let own = snapshots[place].generation
        let isInSpan = pointer.generation <= own && history.isBorn(pointer.generation, in: place)
        let birth = isInSpan ? max(pointer.generation, births ?? .zero) : own
        let copy = BlockPointer(
            address: address, hash: MetroHash64.hash(buffer.bytes), generation: birth)
        moved[place][pointer] = copy
        if isForeign { copyCount += 1 }
        return copy
    }

    /// Whether a block belongs to another line; if it belongs to none so far, it is this one's.
    private func isForeign(
        _ block: Int, _ pointer: BlockPointer, _ role: BlockOwners.Role
    ) -> Bool {
        let entry = BlockOwners.Entry(
            hash: pointer.hash, birth: 0, owner: UInt32(truncatingIfNeeded: place), identity: 0,
            role: role)
        guard let first = owners.claim(block, entry) else { return false }
        let owner = Int(first.owner)
        guard owner != place else { return false }
        let isInherited = role == .data && history.mayInherit(from: owner, place)
        return history.isOwnedTwice(
            pointer.generation, by: place, first: owner,
            isInherited: isInherited || history.before(place) == nil)
    }
}
