import GefsFormat

extension Arena {
    /// From this length on a request looks for a run of its own instead of filling the gaps.
    private static let longRunBlocks = 8
    /// Free blocks in a chunk below the cursor that are worth going back for.
    private static let returnBlocks = 4096

    /// Takes up to `count` blocks that lie behind one another, from the low end.
    ///
    /// Short requests fill the lowest gaps. Long ones go on where the last one ended and fall back
    /// to lower addresses once enough is free there.
    /// - Parameter useReserve: whether the reserve may be touched.
    /// - Returns: nil when nothing may be taken.
    func allocateRun(upTo count: Int, useReserve: Bool) -> BlockRun? {
        assert(count > 0)
        let allowed = min(count, useReserve ? availableBlocksWithReserve : availableBlocks)
        guard allowed > 0 else { return nil }
        let isLong = count >= Self.longRunBlocks
        let found: Range<Int>?
        if isLong, runCursor > lowCursor {
            found =
                map.findRun(from: runCursor, upTo: allowed)
                ?? map.findRun(from: lowCursor, upTo: allowed)
        } else {
            lowCursor = map.firstFree(from: lowCursor) ?? map.blockCount
            found = map.findRun(from: lowCursor, upTo: allowed)
        }
        guard let range = found else { return nil }
        take(range)
        if isLong { runCursor = range.upperBound }
        if range.lowerBound == lowCursor { lowCursor = range.upperBound }
        return BlockRun(start: blockAddress(range.lowerBound), count: range.count)
    }

    /// Takes one block from the high end, for a node or a deadlist block.
    ///
    /// - Parameter useReserve: whether the reserve may be touched.
    /// - Returns: nil when nothing may be taken.
    func allocateNode(useReserve: Bool) -> BlockAddress? {
        guard (useReserve ? availableBlocksWithReserve : availableBlocks) > 0 else { return nil }
        guard let index = map.lastFree(upTo: highCursor) else { return nil }
        highCursor = index - 1
        take(index..<index + 1)
        return blockAddress(index)
    }

    /// Gives a block back; it may be taken again at once.
    ///
    /// The address often comes from the disk, so a block that cannot be freed is an error.
    func free(_ address: BlockAddress) throws(StoreError) {
        try free(BlockRun(start: address, count: 1))
    }

    /// Gives blocks back; they may be taken again at once.
    func free(_ run: BlockRun) throws(StoreError) {
        guard run.count > 0, contains(run.start), run.byteCount <= end - run.start.rawValue else {
            throw .notInArena(run.start)
        }
        for index in 0..<run.count {
            guard !log.members.contains(run[index]),
                pendingLog?.members.contains(run[index]) != true
            else { throw .usedByLog(run[index]) }
        }
        let first = blockIndex(run.start)
        guard map.release(first..<first + run.count) else {
            let double = (0..<run.count).first { map.isFree(first + $0) } ?? 0
            throw .notAllocated(run[double])
        }
        didFree(first..<first + run.count)
    }

    /// Keeps cursors and counters true after blocks became free.
    func didFree(_ range: Range<Int>) {
        lowCursor = min(lowCursor, range.lowerBound)
        highCursor = max(highCursor, range.upperBound - 1)
        if range.lowerBound < runCursor {
            let chunk = range.lowerBound / FreeMap.chunkBlocks
            if Int(map.freeCounts[chunk]) >= min(Self.returnBlocks, map.blockCount / 8) {
                runCursor = chunk * FreeMap.chunkBlocks
            }
        }
        publishCounters()
    }

    private func take(_ range: Range<Int>) {
        let isTaken = map.take(range)
        assert(isTaken, "the search found a block that is not free")
        handedOut.set(range, to: true)
        publishCounters()
    }

    // MARK: Blocks of the log

    /// A block for the log, and whether the log on the device knows it as free.
    struct LogBlock {
        var address: BlockAddress
        /// It has to be logged as taken. Otherwise it was freed since the last commit: the log
        /// knows it as used, which is what it becomes.
        var isLogged: Bool
    }

    /// Takes a block for the log, from the high end and down to the last one.
    func allocateLogBlock(mustBeLogged: Bool) -> LogBlock? {
        if let index = map.lastFreeInBoth(upTo: highCursor) {
            map.takeInBoth(index)
            publishCounters()
            return LogBlock(address: blockAddress(index), isLogged: true)
        }
        guard !mustBeLogged, let index = map.lastFree(upTo: highCursor) else { return nil }
        take(index..<index + 1)
        return LogBlock(address: blockAddress(index), isLogged: false)
    }

    /// Takes the lowest free blocks for a compressed log, or none if there are too few.
    func allocateCompressedChain(_ count: Int) -> [BlockAddress]? {
        guard availableBlocksWithReserve >= count else { return nil }
        var blocks: [BlockAddress] = []
        while blocks.count < count {
            lowCursor = map.firstFree(from: lowCursor) ?? map.blockCount
            let length = map.freeLength(at: lowCursor, limit: count - blocks.count)
            guard length > 0 else { break }
            let range = lowCursor..<lowCursor + length
            take(range)
            blocks += range.map(blockAddress)
            lowCursor = range.upperBound
        }
        return blocks
    }

    /// Gives back blocks that no log on the device mentions as taken.
    func releaseUnlogged(_ blocks: [BlockAddress]) {
        for address in blocks {
            let index = blockIndex(address)
            let isReleased = map.release(index..<index + 1)
            assert(isReleased)
            didFree(index..<index + 1)
        }
    }
}
