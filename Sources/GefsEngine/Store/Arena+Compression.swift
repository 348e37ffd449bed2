import GefsFormat

extension Arena {
    /// Decides whether the coming commit rewrites the log as the bare free ranges.
    ///
    /// The decision sticks: the blocks of the new chain are taken now. The blocks returned make up
    /// the old chain; they stay allocated, also in the new log, until the caller frees them after
    /// the commit is durable.
    ///
    /// Source: FORMAT 5.6 and 9.5 rule 5.
    func planCompression() -> [BlockAddress] {
        guard compression == nil, !headerIsFresh, log.chain.count > compressionThreshold else {
            return []
        }
        // The blocks taken for the chain, and what the commit takes before the log is written,
        // can split ranges.
        let length = LogLayout.blockCountMax(rangeCount: map.freeRunCount() + 1)
        guard log.chain.count > max(logBlocksMin, logGrowthMax * length) else {
            compressionThreshold = max(logBlocksMin, logGrowthMax * length)
            return []
        }
        guard let blocks = allocateCompressedChain(length + 1) else { return [] }
        compression = Compression(blocks: blocks)
        return log.chain
    }

    func prepareCompressedLog(
        _ compression: Compression, barrier: UInt64, pool: BlockBufferPool,
        into commit: inout ArenaCommit
    ) throws(StoreError) {
        var blocks = compression.blocks
        // Giving a block back adds at most one range.
        let enough = LogLayout.blockCountMax(rangeCount: map.freeRunCount() + blocks.count)
        if enough < blocks.count {
            releaseUnlogged(Array(blocks[enough...]))
            blocks.removeLast(blocks.count - enough)
        }
        while true {
            let needed = LogLayout.blockCountMax(rangeCount: map.freeRunCount())
            guard needed > blocks.count else { break }
            guard let more = allocateCompressedChain(needed - blocks.count) else {
                throw .logFull(arena: index)
            }
            blocks += more
        }
        var ranges: [LogEntry] = []
        map.forEachFreeRun { range in
            ranges.append(
                .free(
                    blockAddress(range.lowerBound),
                    byteCount: UInt64(range.count * Geometry.blockBytes)))
            return true
        }
        // No free range covers the chain's own blocks, which is how the log knows them.
        let fresh = LogLayout.write(
            ranges, to: blocks.map { LogBlock(address: $0, isLogged: false) }, wakeBarrier: nil,
            barrier: barrier, pool: pool)
        commit.blocks += fresh.writes
        header = ArenaHeader(
            logHead: blocks[0], logHash: fresh.headHash, byteCount: byteCount,
            usedBytes: UInt64(usedBlocks * Geometry.blockBytes))
        let buffer = pool.make()
        headerHash = header.encode(into: buffer.mutableBytes)
        commit.headers.append(StoreWrite(at: address, buffer))
        commit.footers.append(StoreWrite(at: footerAddress, buffer))
        pendingLog = ArenaLog(
            chain: blocks, tailSector: fresh.tailSector, tailBytes: fresh.tailBytes,
            lastBarrier: barrier)
    }

    /// Where the copy of the header lies.
    var footerAddress: BlockAddress {
        BlockAddress(rawValue: address.rawValue + UInt64(Geometry.blockBytes))
    }
}
