import GefsFormat

/// An arena that does not exist yet: its header and the first block of its log.
///
/// Source: FORMAT 10.1.
struct FreshArena {
    /// Where the header lies.
    let address: BlockAddress
    /// S.
    let byteCount: UInt64
    /// Blocks taken besides the first log block, in the order of their log entries.
    var allocated: [BlockAddress] = []

    private static let blockBytes = UInt64(Geometry.blockBytes)

    /// The first block behind header and footer, which the log starts in.
    var logHead: BlockAddress {
        BlockAddress(rawValue: address.rawValue + 2 * Self.blockBytes)
    }

    var footerAddress: BlockAddress {
        BlockAddress(rawValue: address.rawValue + Self.blockBytes)
    }

    /// The lowest block that is free at first.
    var lowestFree: BlockAddress {
        BlockAddress(rawValue: logHead.rawValue + Self.blockBytes)
    }

    /// The block `distance` below the highest that is free at first; the slop is never free.
    func highestFree(below distance: UInt64) -> BlockAddress {
        BlockAddress(
            rawValue: logHead.rawValue + byteCount
                - (1 + UInt64(Geometry.arenaSlopBlocks) + distance) * Self.blockBytes)
    }

    /// The hash of the header, and the writes that make the arena: log, header, footer.
    func writes(pool: BlockBufferPool) -> (headerHash: UInt64, writes: [StoreWrite]) {
        let log = pool.make()
        // The original writes the log with a barrier first and removes that when it reads it back;
        // the header keeps the hash of the whole block as it was then.
        var builder = startLog(log)
        let isComplete = builder.append(.sync(0))
        builder.finish(kind: .allocationLog)
        let logHash = MetroHash64.hash(log.bytes)
        builder = startLog(log)
        var isFitting = isComplete
        for address in allocated {
            isFitting =
                builder.append(.allocate(address, byteCount: Self.blockBytes)) && isFitting
        }
        assert(isFitting)
        builder.finish(kind: .allocationLog)
        if allocated.isEmpty {
            // The removed barrier stays where it was, behind the entries, and nothing reads it.
            var stale = ChainBlockBuilder(continuing: log.base)
            _ = stale.append(.sync(0))
        }

        let slopBytes = UInt64(Geometry.arenaSlopBlocks) * Self.blockBytes
        let header = ArenaHeader(
            logHead: logHead, logHash: logHash, byteCount: byteCount,
            usedBytes: slopBytes + UInt64(1 + allocated.count) * Self.blockBytes)
        let block = pool.make()
        let headerHash = header.encode(into: block.mutableBytes)
        return (
            headerHash,
            [
                StoreWrite(at: logHead, log), StoreWrite(at: address, block),
                StoreWrite(at: footerAddress, block),
            ]
        )
    }

    private func startLog(_ block: BlockBuffer) -> ChainBlockBuilder {
        var builder = ChainBlockBuilder(block: block.base)
        let slopBytes = UInt64(Geometry.arenaSlopBlocks) * Self.blockBytes
        let isFree = builder.append(.free(logHead, byteCount: byteCount - slopBytes))
        let isTaken = builder.append(
            .allocate(logHead, byteCount: Self.blockBytes), withLength: true)
        assert(isFree && isTaken)
        return builder
    }
}
