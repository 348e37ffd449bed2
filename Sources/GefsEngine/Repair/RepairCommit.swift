import GefsFormat

/// Writes down a state that was worked out: deadlists, snapshot tree, logs, headers, superblocks.
struct RepairCommit {
    let nodes: RepairNodes
    let space: RepairSpace
    let table: ArenaTable
    private static let blockBytes = UInt64(Geometry.blockBytes)

    /// The tree that holds these pairs.
    ///
    /// - Parameter generation: when its nodes are born; 0 for those of the snapshot tree.
    func tree(
        _ pairs: [Key: [UInt8]], generation: Generation = .zero
    ) throws(RepairError) -> TreeRoot {
        var keys = pairs.keys.sorted()
        guard let first = keys.first, let value = pairs[first] else {
            throw .noSnapshotTree("there is no label left")
        }
        let buffer = nodes.pool.make()
        var builder = LeafBuilder(block: buffer.base)
        first.withBytes { key in
            value.withUnsafeBytes { builder.append(key: key, value: $0) }
        }
        builder.finish()
        let address = try space.allocate()
        nodes.add(buffer, at: address)
        let pointer = BlockPointer(
            address: address, hash: MetroHash64.hash(buffer.bytes), generation: generation)
        keys.removeFirst()
        let target = RepairTarget(nodes, space, generation: generation)
        let edits = Dictionary(
            keys.map { ($0, pairs[$0]) }, uniquingKeysWith: { first, _ in first })
        let root = try target.apply(edits, to: TreeRoot(pointer: pointer, height: 1))
        guard let root else { throw .noSnapshotTree("there is no label left") }
        return root
    }

    /// A chain of blocks that holds these addresses.
    func chain(_ blocks: [Int]) throws(RepairError) -> DeadlistRecord {
        var tail = BlockPointer.none
        var head = BlockPointer.none
        var next = 0
        while next < blocks.count {
            let buffer = nodes.pool.make()
            var builder = ChainBlockBuilder(block: buffer.base)
            while next < blocks.count, !builder.isFull,
                builder.append(BlockAddress(rawValue: UInt64(blocks[next]) * Self.blockBytes))
            {
                next += 1
            }
            builder.finish(kind: .deadlist, next: head)
            let address = try space.allocate()
            nodes.add(buffer, at: address)
            head = BlockPointer(address: address, hash: .max, generation: .zero)
            if tail.isNone { tail = head }
        }
        return DeadlistRecord(head: head, tail: tail)
    }

    /// Logs that leave free all that is not in `used`, and headers that name them.
    ///
    /// - Returns: the arenas for the superblock, headers and footers.
    func logs(
        used: BlockBits, barrier: UInt64, round: inout RepairRound
    ) throws(RepairError) -> [Superblock.ArenaReference] {
        var references: [Superblock.ArenaReference] = []
        for (place, arena) in table.arenas.enumerated() {
            let blocks = table.blocks(of: place)
            let end = Int(arena.usableEnd / Self.blockBytes)
            let usable = blocks.lowerBound..<end
            var log: [Arena.LogBlock] = []
            while log.count
                < LogLayout.blockCountMax(rangeCount: Self.freeRuns(used, usable).count)
            {
                let address = try space.allocate(inArena: place)
                used.insert(Int(address.rawValue / Self.blockBytes))
                log.append(Arena.LogBlock(address: address, isLogged: false))
            }
            let runs = Self.freeRuns(used, usable)
            let entries = runs.map { run in
                LogEntry.free(
                    BlockAddress(rawValue: UInt64(run.lowerBound) * Self.blockBytes),
                    byteCount: UInt64(run.count) * Self.blockBytes)
            }
            let chain = LogLayout.write(
                entries, to: log, wakeBarrier: nil, barrier: barrier, pool: nodes.pool)
            round.body += chain.writes
            let freeCount = runs.reduce(0) { $0 + $1.count }
            let header = ArenaHeader(
                logHead: log[0].address, logHash: chain.headHash, byteCount: arena.byteCount,
                usedBytes: arena.byteCount - UInt64(freeCount) * Self.blockBytes)
            let buffer = nodes.pool.make()
            let hash = header.encode(into: buffer.mutableBytes)
            let footer = BlockAddress(rawValue: arena.address.rawValue + Self.blockBytes)
            round.body.append(StoreWrite(at: arena.address, buffer))
            round.rest.append(StoreWrite(at: footer, buffer))
            references.append(Superblock.ArenaReference(address: arena.address, hash: hash))
        }
        return references
    }

    private static func freeRuns(_ used: BlockBits, _ range: Range<Int>) -> [Range<Int>] {
        var runs: [Range<Int>] = []
        var position = range.lowerBound
        while position < range.upperBound {
            let end = used.endOfRun(from: position, to: range.upperBound)
            if !used[position] { runs.append(position..<end) }
            position = end
        }
        return runs
    }
}
