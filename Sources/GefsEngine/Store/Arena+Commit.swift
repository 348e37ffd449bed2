import GefsFormat

extension Arena {
    /// Adds what this arena has to write for a commit, and settles the map: what is taken or freed
    /// from now on belongs to the next commit.
    ///
    /// - Parameters:
    ///   - barrier: the number of the commit under way, above all earlier ones.
    ///   - lastDurable: that of the last durable superblock.
    /// - Throws: `.logFull` with nothing changed on the device.
    ///
    /// Source: FORMAT 9.5.
    func prepareCommit(
        barrier: UInt64, lastDurable: UInt64, pool: BlockBufferPool, into commit: inout ArenaCommit
    ) throws(StoreError) {
        assert(!log.needsCut && staleCopy == nil, "the arena was not repaired at open")
        assert(pendingLog == nil, "the last commit was not finished")
        if let compression {
            try prepareCompressedLog(compression, barrier: barrier, pool: pool, into: &commit)
        } else {
            let changes = loggedChanges()
            // What replay from the last durable superblock stops at. If the log ends in an older
            // barrier, that replay reads on into whatever is linked now.
            let isAwake = log.lastBarrier.map { $0 >= lastDurable } ?? false
            if !changes.isEmpty {
                try prepareChanges(
                    changes, barrier: barrier, wakeBarrier: isAwake ? nil : lastDurable,
                    pool: pool, into: &commit)
            } else if isAwake, !log.fitsBarrier, availableBlocksWithReserve > 0 {
                // A log of another implementation: it gets its barrier, and a last block that
                // can take one later, while that is cheap.
                try prepareChanges(
                    [], barrier: barrier, wakeBarrier: nil, pool: pool, into: &commit)
            }
        }
        map.settle()
    }

    /// The commit is durable.
    func didCommit() {
        if let pendingLog { log = pendingLog }
        pendingLog = nil
        headerIsFresh = compression != nil
        if compression != nil { compressionThreshold = logBlocksMin }
        compression = nil
    }

    /// What the log does not say yet, as ranges in address order.
    func loggedChanges() -> [LogEntry] {
        var changes: [LogEntry] = []
        guard map.mayDiffer else { return changes }
        map.forEachChange { range, isFree in
            let start = blockAddress(range.lowerBound)
            let byteCount = UInt64(range.count * Geometry.blockBytes)
            changes.append(
                isFree
                    ? .free(start, byteCount: byteCount) : .allocate(start, byteCount: byteCount))
        }
        return changes
    }

    private func prepareChanges(
        _ found: [LogEntry], barrier: UInt64, wakeBarrier: UInt64?, pool: BlockBufferPool,
        into commit: inout ArenaCommit
    ) throws(StoreError) {
        var changes = found
        let word = LogEntry.wordBytes
        let wakeBytes = wakeBarrier == nil ? 0 : word
        let entryBytes = changes.reduce(0) { $0 + $1.byteCount }
        if !changes.isEmpty, log.fitsInPlace(wakeBytes + entryBytes + word) {
            var next = log
            let entries = (wakeBarrier.map { [.sync($0)] } ?? []) + changes + [.sync(barrier)]
            commit.links.append(next.rewriteTail(adding: entries, next: .none, pool: pool))
            next.lastBarrier = barrier
            pendingLog = next
            return
        }
        // The barrier that replay from the last durable superblock has to stop at goes into the
        // old last block if its first sector has room, or behind the fresh block's own entry.
        let wakesInTail = wakeBarrier != nil && log.fitsBarrier
        let wakesInBlock = wakeBarrier != nil && !wakesInTail
        var blocks: [LogBlock] = []
        while true {
            let needed = LogLayout.blockCount(
                changes, prefixBytes: word + (wakesInBlock ? word : 0))
            guard blocks.count < needed else { break }
            var areLogged = true
            while blocks.count < needed {
                guard let block = allocateLogBlock(mustBeLogged: wakesInBlock) else {
                    throw .logFull(arena: index)
                }
                areLogged = areLogged && block.isLogged
                blocks.append(block)
            }
            // Blocks that were freed since the last commit are no change any more.
            if !areLogged { changes = loggedChanges() }
        }
        var next = log
        let fresh = LogLayout.write(
            changes, to: blocks, wakeBarrier: wakesInBlock ? wakeBarrier : nil, barrier: barrier,
            pool: pool)
        commit.blocks += fresh.writes
        let wake = wakesInTail ? wakeBarrier.map { [LogEntry.sync($0)] } ?? [] : []
        let link = next.rewriteTail(adding: wake, next: blocks[0].address, pool: pool)
        if wakesInBlock {
            commit.linksAfterFlush.append(link)
        } else {
            commit.links.append(link)
        }
        next.append(blocks.map(\.address))
        next.tailSector = fresh.tailSector
        next.tailBytes = fresh.tailBytes
        next.lastBarrier = barrier
        pendingLog = next
    }
}

extension ArenaLog {
    /// The rewritten first sector of the last block: with more entries behind the valid ones, as
    /// far as the sector has room, and with another link.
    mutating func rewriteTail(
        adding entries: [LogEntry], next: BlockAddress, pool: BlockBufferPool
    ) -> StoreWrite {
        let buffer = pool.make()
        buffer.clear()
        buffer.mutableBytes.copyBytes(from: tailSector)
        let link =
            next.isNone
            ? BlockPointer.none : BlockPointer(address: next, hash: .max, generation: .zero)
        if entries.isEmpty {
            ChainBlockBuilder.setNext(link, in: buffer.base)
        } else {
            var builder = ChainBlockBuilder(continuing: buffer.base, usedBytes: tailBytes)
            for entry in entries {
                let isAdded = builder.append(entry)
                assert(isAdded)
            }
            tailBytes = builder.usedBytes
            // All entries are in the sector, so the hash can be computed from it alone.
            assert(tailBytes <= Self.sectorEntryBytes)
            builder.finish(kind: .allocationLog, next: link)
        }
        ChainBlockBuilder.seal(buffer.base, at: tail)
        tailSector = Array(buffer.bytes[..<Geometry.sectorBytes])
        return StoreWrite(at: tail, buffer, byteCount: Geometry.sectorBytes)
    }
}
