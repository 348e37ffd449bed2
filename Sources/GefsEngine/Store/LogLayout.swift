import GefsFormat

/// Distributes log entries over fresh blocks.
///
/// All but the last block are filled; the last one ends in the barrier and keeps within what
/// `ArenaLog.tailBytesMax` allows, so that the next commits can append in place.
enum LogLayout {
    /// What was written.
    struct Chain {
        var writes: [StoreWrite] = []
        /// First sector of the last block, and its entry bytes.
        var tailSector: [UInt8] = []
        var tailBytes = 0
        /// Hash of the first block's entries.
        var headHash: UInt64 = 0
    }

    /// How many blocks it takes.
    ///
    /// - Parameter prefixBytes: what comes before the entries in the first block; the others start
    ///   with one word, their own allocation.
    static func blockCount(_ entries: [LogEntry], prefixBytes: Int) -> Int {
        var remaining = entries.reduce(0) { $0 + $1.byteCount }
        var index = 0
        var count = 1
        var used = prefixBytes
        while used + remaining + LogEntry.wordBytes > ArenaLog.tailBytesMax {
            while index < entries.count,
                used + entries[index].byteCount <= ArenaLog.blockBytesMax
            {
                used += entries[index].byteCount
                remaining -= entries[index].byteCount
                index += 1
            }
            count += 1
            used = LogEntry.wordBytes
        }
        return count
    }

    /// How many blocks any `rangeCount` entries take at most.
    static func blockCountMax(rangeCount: Int) -> Int {
        let entryBytes = 2 * LogEntry.wordBytes
        let perTail = (ArenaLog.tailBytesMax - 2 * LogEntry.wordBytes) / entryBytes
        let perBlock = (ArenaLog.blockBytesMax - LogEntry.wordBytes) / entryBytes
        return rangeCount <= perTail
            ? 1 : 1 + (rangeCount + perBlock - 1) / perBlock
    }

    /// Fills `blocks`, which must be at least as many as `blockCount` says, and chains them.
    ///
    /// - Parameters:
    ///   - wakeBarrier: goes behind the first block's own allocation.
    ///   - barrier: goes to the very end.
    static func write(
        _ entries: [LogEntry], to blocks: [Arena.LogBlock], wakeBarrier: UInt64?, barrier: UInt64,
        pool: BlockBufferPool
    ) -> Chain {
        var chain = Chain()
        var remaining = entries.reduce(0) { $0 + $1.byteCount }
        var index = 0
        for (number, block) in blocks.enumerated() {
            let isLast = number == blocks.count - 1
            let buffer = pool.make()
            var builder = ChainBlockBuilder(block: buffer.base)
            var isWritten = true
            if block.isLogged {
                isWritten = builder.append(
                    .allocate(block.address, byteCount: UInt64(Geometry.blockBytes)))
            }
            if number == 0, let wakeBarrier {
                isWritten = builder.append(.sync(wakeBarrier)) && isWritten
            }
            let limit = isLast ? ArenaLog.tailBytesMax : ArenaLog.blockBytesMax
            while index < entries.count,
                builder.usedBytes + entries[index].byteCount <= limit
            {
                isWritten = builder.append(entries[index]) && isWritten
                remaining -= entries[index].byteCount
                index += 1
            }
            var next = BlockPointer.none
            if isLast {
                isWritten = builder.append(.sync(barrier)) && isWritten
            } else {
                next = BlockPointer(
                    address: blocks[number + 1].address, hash: .max, generation: .zero)
            }
            assert(isWritten)
            builder.finish(kind: .allocationLog, next: next)
            ChainBlockBuilder.seal(buffer.base, at: block.address)
            chain.writes.append(StoreWrite(at: block.address, buffer))
            if number == 0 {
                chain.headHash = MetroHash64.hash(
                    UnsafeRawBufferPointer(
                        start: buffer.base + Geometry.logHeaderBytes, count: builder.usedBytes))
            }
            if isLast {
                assert(remaining == 0 && builder.usedBytes <= ArenaLog.tailBytesMax)
                chain.tailSector = Array(buffer.bytes[..<Geometry.sectorBytes])
                chain.tailBytes = builder.usedBytes
            }
        }
        return chain
    }
}
