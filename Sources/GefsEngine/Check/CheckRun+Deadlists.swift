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
}
