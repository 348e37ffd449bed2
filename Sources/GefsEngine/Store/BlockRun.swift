import GefsFormat

/// Blocks that lie behind one another in one arena.
struct BlockRun: Hashable, Sendable {
    /// The first block.
    var start: BlockAddress
    /// Number of blocks.
    var count: Int

    /// The block at `index` of the run.
    subscript(index: Int) -> BlockAddress {
        BlockAddress(rawValue: start.rawValue + UInt64(index * Geometry.blockBytes))
    }

    var byteCount: UInt64 { UInt64(count * Geometry.blockBytes) }
    var end: BlockAddress { self[count] }
}
