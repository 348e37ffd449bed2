import GefsFormat

/// All arenas of a volume, in address order.
///
/// Only the flush thread calls anything but the counters.
final class ArenaSet: @unchecked Sendable {
    /// Blocks taken from one arena before the next one gets its turn: few arenas change in a small
    /// commit, all of them in a large one.
    private var stretchBlocks = 2048
    let arenas: [Arena]
    private let starts: [UInt64]
    let pool: BlockBufferPool
    private var current = 0
    private var stretchLeft = 2048

    init(_ arenas: [Arena], pool: BlockBufferPool) {
        self.arenas = arenas
        self.pool = pool
        starts = arenas.map(\.start)
    }

    /// Sets what depends on how the volume is used. Before the first commit.
    func tune(_ options: VolumeOptions) {
        stretchBlocks = options.arenaStretchBlocks
        stretchLeft = stretchBlocks
        for arena in arenas {
            arena.logBlocksMin = options.logBlocksMin
            arena.logGrowthMax = options.logGrowthMax
        }
    }

    // MARK: Counters, readable by any thread

    /// Blocks of all arenas, slop included.
    var blockCount: Int { arenas.reduce(0) { $0 + $1.blockCount } }
    /// Free blocks of all arenas, reserves included.
    var freeBlocks: Int { arenas.reduce(0) { $0 + $1.freeBlocks } }
    var usedBlocks: Int { arenas.reduce(0) { $0 + $1.usedBlocks } }
    /// Blocks that ordinary allocations may still take.
    var availableBlocks: Int { arenas.reduce(0) { $0 + $1.availableBlocks } }
    /// Blocks that allocations on the reserve may still take.
    var availableBlocksWithReserve: Int {
        arenas.reduce(0) { $0 + $1.availableBlocksWithReserve }
    }

    /// The arena that a whole block at `address` lies in.
    func arena(of address: BlockAddress) -> Arena? {
        var low = 0
        var high = starts.count
        while low < high {
            let middle = (low + high) / 2
            if starts[middle] <= address.rawValue { low = middle + 1 } else { high = middle }
        }
        guard low > 0, arenas[low - 1].contains(address) else { return nil }
        return arenas[low - 1]
    }

    /// Whether a block was handed out since the volume was opened: what it held before is gone.
    func wasHandedOut(_ address: BlockAddress) -> Bool {
        arena(of: address).map { $0.handedOut[$0.blockIndex(address)] } ?? false
    }

    /// Whether the block at `address` is free; nil if it lies in no arena.
    func isFree(_ address: BlockAddress) -> Bool? {
        arena(of: address)?.isFree(address)
    }

    // MARK: Allocation

    /// Takes up to `count` blocks that lie behind one another.
    ///
    /// - Parameters:
    ///   - preferred: an address in the arena to try first, such as the file's last block.
    ///   - useReserve: whether the reserve may be touched: for what makes room in the end.
    /// - Returns: nil when the volume is full.
    func allocateRun(
        upTo count: Int, near preferred: BlockAddress = .none, useReserve: Bool = false
    ) -> BlockRun? {
        if let arena = arena(of: preferred), room(arena, useReserve) >= count,
            let run = arena.allocateRun(upTo: count, useReserve: useReserve)
        {
            return run
        }
        for arena in candidates(useReserve) {
            if let run = arena.allocateRun(upTo: count, useReserve: useReserve) {
                stretchLeft -= run.count
                return run
            }
        }
        return nil
    }

    /// Takes one block for a node or a deadlist block.
    ///
    /// - Parameter useReserve: whether the reserve may be touched.
    /// - Returns: nil when the volume is full.
    func allocateNode(useReserve: Bool = false) -> BlockAddress? {
        for arena in candidates(useReserve) {
            if let address = arena.allocateNode(useReserve: useReserve) {
                stretchLeft -= 1
                return address
            }
        }
        return nil
    }

    /// Gives a block back; it may be taken again at once, so nothing durable may refer to it and
    /// the cache must have forgotten it.
    func free(_ address: BlockAddress) throws(StoreError) {
        guard let arena = arena(of: address) else { throw .notInArena(address) }
        try arena.free(address)
    }

    private func room(_ arena: Arena, _ useReserve: Bool) -> Int {
        useReserve ? arena.availableBlocksWithReserve : arena.availableBlocks
    }

    /// The arenas to try, the one whose turn it is first, the others by room.
    private func candidates(_ useReserve: Bool) -> CandidateSequence {
        if stretchLeft <= 0 || room(arenas[current], useReserve) == 0 {
            stretchLeft = stretchBlocks
            // Equal arenas take turns because the one just used has less room.
            current =
                arenas.indices.max {
                    room(arenas[$0], useReserve) < room(arenas[$1], useReserve)
                } ?? 0
        }
        return CandidateSequence(arenas: arenas, first: current)
    }

    /// All arenas, beginning with one of them; makes no array.
    private struct CandidateSequence: Sequence, IteratorProtocol {
        let arenas: [Arena]
        let first: Int
        var tried = 0

        mutating func next() -> Arena? {
            guard tried < arenas.count else { return nil }
            let arena = arenas[(first + tried) % arenas.count]
            tried += 1
            return arena
        }
    }
}
