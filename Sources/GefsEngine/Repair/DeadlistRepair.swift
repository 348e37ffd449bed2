import GefsFormat

/// Works out all deadlists, and which blocks are in use, from what the trees refer to.
///
/// A block that a line's snapshots hold belongs on the list of the one behind the last that holds
/// it, unless it was born before the line, or in a snapshot of another line holds it although the
/// one that this was forked from does not: then it stays off, and is not freed before a check
/// finds it unused. Source: FORMAT 8.2.
final class DeadlistRepair {
    struct ListName: Hashable {
        var generation: Generation
        var birth: Generation
    }

    private let nodes: RepairNodes
    private let table: ArenaTable
    /// Blocks that some tree refers to.
    let used: BlockBits
    /// Blocks by list.
    private(set) var lists: [ListName: [Int]] = [:]
    private var listed: [Int: ListName] = [:]
    private var kept: Set<Int> = []

    init(_ nodes: RepairNodes, _ table: ArenaTable, blockCount: Int) {
        self.nodes = nodes
        self.table = table
        used = BlockBits(count: blockCount)
    }

    /// Works out the lists for these snapshots.
    func run(_ records: [Generation: SnapshotRecord]) throws(RepairError) {
        var graph = HistoryGraph()
        for record in records.values { graph.put(record) }
        let lines = records.values.filter { graph.predecessor(of: $0) == nil }.map { first in
            var line = [first]
            while let next = graph.successor(of: line[line.count - 1]) { line.append(next) }
            return line
        }.sorted { $0[0].generation < $1[0].generation }
        for line in lines { try list(line, graph) }
        for line in lines where line[0].base != .zero || line[0].generation != .zero {
            try keepInherited(line)
        }
        var order: [ListName] = []
        for (block, name) in listed where !kept.contains(block) {
            if lists[name] == nil { order.append(name) }
            lists[name, default: []].append(block)
        }
        for name in order { lists[name]?.sort() }
    }

    /// Counts the snapshot tree among what is used.
    func claim(_ snapshotTree: TreeRoot) throws(RepairError) {
        let seen = BlockBits(count: used.count)
        try walk(snapshotTree, seen) { [used] block, _ in used.insert(block) }
    }

    /// Counts the blocks of a new list among what is used.
    func claimChain(_ list: DeadlistRecord) throws(RepairError) {
        var address = list.head.address
        while let block = table.block(at: address) {
            used.insert(block)
            guard address != list.tail.address, let buffer = nodes.written[address.rawValue] else {
                return
            }
            guard
                let view = try? ChainBlockView(
                    checking: buffer.bytes, at: address, expecting: .deadlist)
            else { return }
            address = view.next.address
        }
    }

    private func list(_ line: [SnapshotRecord], _ graph: HistoryGraph) throws(RepairError) {
        let seen = BlockBits(count: used.count)
        let base = line[0].generation == .zero ? Generation.zero : line[0].base
        for index in line.indices.reversed() {
            let next = index + 1 < line.count ? line[index + 1].generation : nil
            let root = TreeRoot(pointer: line[index].root, height: Int(line[index].height))
            try walk(root, seen) { [self] block, birth in
                used.insert(block)
                guard let next, base < birth, birth < next else { return }
                listed[block] = ListName(generation: next, birth: birth)
            }
        }
    }

    /// Takes off lists what a fork holds that its base has let go of.
    private func keepInherited(_ line: [SnapshotRecord]) throws(RepairError) {
        let base = line[0].base
        let seen = BlockBits(count: used.count)
        for record in line.reversed() {
            let root = TreeRoot(pointer: record.root, height: Int(record.height))
            try walk(root, seen) { [self] block, birth in
                guard birth <= base, let name = listed[block], name.generation <= base else {
                    return
                }
                kept.insert(block)
            }
        }
    }

    /// Calls `body` with each block that was not seen before, and its birth.
    private func walk(
        _ root: TreeRoot, _ seen: BlockBits, _ body: (Int, Generation) -> Void
    ) throws(RepairError) {
        var todo = [root.pointer]
        while let pointer = todo.popLast() {
            guard let block = table.block(at: pointer.address), seen.insert(block) else { continue }
            body(block, pointer.generation)
            let buffer: BlockBuffer
            switch nodes.node(pointer) {
            case .whole(let found): buffer = found
            case .rebuilt, .lost: throw .unreadable("block \(pointer.address) cannot be read")
            }
            let kind = UnsafeRawPointer(buffer.base).loadBigEndian(at: 0, as: UInt16.self)
            if kind == BlockKind.leaf.rawValue {
                let leaf = LeafView(unchecked: buffer.base)
                for index in 0..<leaf.count where DataKey(leaf.key(index)) != nil {
                    visit(leaf.value(index), seen, body)
                }
            } else {
                let pivot = PivotView(unchecked: buffer.base)
                for index in 0..<pivot.childCount { todo.append(pivot.pointer(index)) }
                for index in 0..<pivot.messageCount {
                    let message = pivot.message(index)
                    if message.kind == .insert, DataKey(message.key) != nil {
                        visit(message.payload, seen, body)
                    }
                }
            }
            withExtendedLifetime(buffer) {}
        }
    }

    private func visit(
        _ value: UnsafeRawBufferPointer, _ seen: BlockBits, _ body: (Int, Generation) -> Void
    ) {
        guard let pointer = DataPointer.decode(value),
            let block = table.block(at: pointer.address), seen.insert(block)
        else { return }
        body(block, pointer.generation)
    }
}
