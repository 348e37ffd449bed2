import GefsFormat

/// The lists of dead blocks.
///
/// Source: FORMAT 8.2, 8.3, 8.5.
extension CheckRun {
    /// Reads the chains of all lists and notes which blocks are on them.
    func readDeadlists() {
        let buffer = UnsafeMutableRawBufferPointer.allocate(
            byteCount: Geometry.blockBytes, alignment: MemoryLayout<UInt64>.alignment)
        defer { buffer.deallocate() }
        let known = Set(snapshots.map(\.generation))
        let isIncomplete = snapshotTreeFlags.contains(.incomplete)
        for index in deadlists.indices {
            let list = deadlists[index]
            if list.name != .pending {
                if !isIncomplete, !known.contains(list.generation) {
                    report(list.name, .noSnapshot)
                }
                if list.birth >= list.generation { report(list.name, .generations) }
            }
            let (head, tail) = (list.record.head.address, list.record.tail.address)
            guard head.isNone == tail.isNone else {
                report(list.name, .ends(head: head, tail: tail))
                continue
            }
            if !head.isNone { readChain(of: index, buffer) }
        }
    }

    private func report(_ list: DeadlistName, _ fault: DeadlistFault) {
        log.add(.deadlist(list, fault))
    }

    private func readChain(of index: Int, _ buffer: UnsafeMutableRawBufferPointer) {
        let name = deadlists[index].name
        let tail = deadlists[index].record.tail.address
        var address = deadlists[index].record.head.address
        while !isCancelled {
            guard let view = readChainBlock(address, of: index, buffer) else {
                if address != tail { report(name, .tailNotReached(tail)) }
                return
            }
            for entry in 0..<view.addressCount { noteDead(view, entry, index) }
            let next = view.next.address
            guard address != tail else {
                if !next.isNone, !source.isRunning {
                    let isPlausible = arenas.block(at: next) != nil
                    report(name, .tailChained(tail, next: next, isPlausible: isPlausible))
                }
                return
            }
            guard !next.isNone else { return report(name, .tailNotReached(tail)) }
            address = next
        }
    }

    /// Claims and reads a block of a list. A block that is claimed already is not read, so chains
    /// that run in circles end.
    private func readChainBlock(
        _ address: BlockAddress, of index: Int, _ buffer: UnsafeMutableRawBufferPointer
    ) -> ChainBlockView? {
        let use = BlockUse.deadlist(deadlists[index].name)
        guard let block = arenas.block(at: address) else {
            log.add(.block(address, use, .outside))
            return nil
        }
        if free[block] { log.add(.block(address, use, .markedFree)) }
        let entry = BlockOwners.Entry(
            hash: 0, birth: 0, owner: UInt32(truncatingIfNeeded: index), identity: 0,
            role: .deadlist)
        if let first = owners.claim(block, entry) {
            log.add(.block(address, use, .usedTwice(first: firstUse(of: block, first))))
            return nil
        }
        do throws(DeviceError) {
            try source.read(at: address.rawValue, into: buffer)
        } catch {
            log.add(.block(address, use, .unreadable(error)))
            return nil
        }
        advance(blocks: 1)
        do throws(CorruptBlock) {
            return try ChainBlockView(
                checking: UnsafeRawBufferPointer(buffer), at: address, expecting: .deadlist)
        } catch {
            report(deadlists[index].name, .damaged(error))
            return nil
        }
    }

    private func noteDead(_ view: ChainBlockView, _ entry: Int, _ index: Int) {
        // The list itself is not copied: that would copy its blocks with each one appended.
        let name = deadlists[index].name
        let address: BlockAddress
        do throws(CorruptBlock) {
            address = try view.deadAddress(entry)
        } catch {
            return report(name, .damaged(error))
        }
        guard let block = arenas.block(at: address) else {
            return report(name, .entryOutside(address))
        }
        if free[block] { report(name, .entryFree(address)) }
        if !dead.insert(block) {
            let first = log.wants("deadlist.entryTwice") ? deadlist(with: block) : name
            report(name, .entryTwice(address, first: first))
        }
        deadlists[index].blocks.append(block)
    }

    private func deadlist(with block: Int) -> DeadlistName {
        deadlists.first { $0.blocks.contains(block) }?.name ?? .pending
    }

    // MARK: entries against trees

    /// Checks that the blocks of list (W, g) are held by W's predecessor, and not by W.
    ///
    /// Costs two walks over the nodes in memory for each snapshot that has lists.
    func checkDeadEntries() {
        guard !isCancelled else { return }
        deadReferences.sort { ($0.block, $0.node) < ($1.block, $1.node) }
        let byGeneration = Dictionary(
            snapshots.indices.map { (snapshots[$0].generation, $0) },
            uniquingKeysWith: { first, _ in first })
        var own = HeldNodes()
        var before = HeldNodes()
        for list in deadlists.sorted(by: { $0.generation < $1.generation })
        where !list.blocks.isEmpty {
            guard list.name != .pending else {
                checkPending(list)
                continue
            }
            guard let index = byGeneration[list.generation] else { continue }
            let predecessor = byGeneration[snapshots[index].record.predecessor]
            if own.snapshot != index {
                // Lists come by age, so the last one is often the predecessor of this one.
                if own.snapshot == predecessor { swap(&own, &before) }
                own.mark(index, root: snapshots[index].root, graph)
            }
            if let predecessor, before.snapshot != predecessor {
                before.mark(predecessor, root: snapshots[predecessor].root, graph)
            }
            check(list, own, predecessor == nil ? nil : before, predecessor)
        }
    }

    private func checkPending(_ list: CheckedDeadlist) {
        for block in list.blocks {
            let entry = owners[block]
            guard entry.role != .none else { continue }
            let use = use(of: block, entry, isDetailed: log.wants("deadlist.pendingUsed"))
            report(list.name, .pendingUsed(address(of: block), as: use))
        }
    }

    private func check(
        _ list: CheckedDeadlist, _ own: HeldNodes, _ before: HeldNodes?, _ predecessor: Int?
    ) {
        let birth = UInt32(truncatingIfNeeded: list.birth.rawValue)
        for block in list.blocks {
            if isHeld(block, own) {
                report(list.name, .entryHeld(address(of: block), by: list.generation))
            }
            guard let before, let predecessor else { continue }
            if isHeld(block, before) {
                let found = owners[block].birth
                if found != birth {
                    report(list.name, .entryBirth(address(of: block), found: found))
                }
            } else if !snapshots[predecessor].flags.contains(.incomplete) {
                report(
                    list.name,
                    .entryNotHeld(
                        address(of: block), by: snapshots[predecessor].generation))
            }
        }
    }

    private func address(of block: Int) -> BlockAddress {
        BlockAddress(rawValue: UInt64(block) * UInt64(Geometry.blockBytes))
    }

    /// Whether a block on a deadlist is referred to by a tree, as a node or as data.
    private func isHeld(_ block: Int, _ tree: HeldNodes) -> Bool {
        let entry = owners[block]
        if entry.role == .node, tree.contains(entry.owner) { return true }
        var low = 0
        var high = deadReferences.count
        while low < high {
            let middle = (low + high) / 2
            if deadReferences[middle].block < block { low = middle + 1 } else { high = middle }
        }
        while low < deadReferences.count, deadReferences[low].block == block {
            if tree.contains(deadReferences[low].node) { return true }
            low += 1
        }
        return false
    }
}

/// The nodes of one tree.
struct HeldNodes {
    /// Which snapshot's, by its place in the list of snapshots.
    private(set) var snapshot: Int?
    private var stamps: ContiguousArray<UInt32> = []
    private var stamp: UInt32 = 0

    /// Becomes the nodes of another tree.
    mutating func mark(_ snapshot: Int, root: NodeNumber, _ graph: NodeGraph) {
        self.snapshot = snapshot
        if stamps.isEmpty {
            stamps = ContiguousArray(repeating: 0, count: graph.nodes.count)
        }
        stamp += 1
        guard root != NodeGraph.none else { return }
        stamps[Int(root)] = stamp
        var todo = [root]
        while let number = todo.popLast() {
            for index in 0..<graph[number].childCount {
                let child = graph.child(index, of: number)
                guard child != NodeGraph.none, stamps[Int(child)] != stamp else { continue }
                stamps[Int(child)] = stamp
                todo.append(child)
            }
        }
    }

    /// Whether a node belongs to the tree.
    @inline(__always)
    func contains(_ number: NodeNumber) -> Bool {
        Int(number) < stamps.count && stamps[Int(number)] == stamp
    }
}
