import GefsFormat

/// Finds the arena of a block.
struct ArenaTable {
    let arenas: [CheckedArena]
    private let blockRanges: [Range<Int>]

    init(_ arenas: [CheckedArena]) {
        self.arenas = arenas
        blockRanges = arenas.map {
            Int($0.start / UInt64(Geometry.blockBytes))..<Int($0.end / UInt64(Geometry.blockBytes))
        }
    }

    /// The number of the block at `address`, if one of an arena lies there.
    @inline(__always)
    func block(at address: BlockAddress) -> Int? {
        guard address.isAligned,
            let block = Int(exactly: address.rawValue / UInt64(Geometry.blockBytes)),
            position(of: block) != nil
        else { return nil }
        return block
    }

    /// The place in `arenas` of the arena that a block lies in.
    @inline(__always)
    func position(of block: Int) -> Int? {
        var low = 0
        var high = blockRanges.count
        while low < high {
            let middle = (low + high) / 2
            if blockRanges[middle].lowerBound <= block { low = middle + 1 } else { high = middle }
        }
        guard low > 0, block < blockRanges[low - 1].upperBound else { return nil }
        return low - 1
    }

    /// The numbers of an arena's blocks.
    func blocks(of position: Int) -> Range<Int> { blockRanges[position] }
}
