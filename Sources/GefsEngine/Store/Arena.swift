import GefsFormat
import Synchronization

/// One arena: its place on the device, its free map, and the state of its allocation log.
///
/// Invariants:
/// - The free map's settled state is what the log on the device says up to its last barrier; what
///   differs from it has not been logged yet.
/// - Every block of the log is used in the map and is never freed through `free(_:)`.
/// - The last `logOnlyBlocks` free blocks are taken by the log only.
///
/// Only the flush thread calls anything but the counters.
final class Arena: @unchecked Sendable {
    /// Free blocks that only the arena's own log may take.
    static let logOnlyBlocks = 4

    /// Position in the superblock's table.
    let index: Int
    /// Where the header lies.
    let address: BlockAddress
    /// Address of the first block that the free map covers.
    let start: UInt64
    /// S: bytes of the blocks behind header and footer, the two slop blocks included.
    let byteCount: UInt64
    /// Blocks that ordinary allocations leave alone.
    let reserveBlocks: Int

    var map: FreeMap
    var log: ArenaLog
    /// The header as the superblock knows it.
    var header: ArenaHeader
    var headerHash: UInt64
    /// The copy on the device that does not match the superblock; it is rewritten at open.
    var staleCopy: StaleCopy?

    /// No free block lies below.
    var lowCursor = 0
    /// Where the search for a long run goes on.
    var runCursor = 0
    /// No free block lies above.
    var highCursor: Int

    /// Set from `planCompression` to the end of the commit.
    var compression: Compression?
    /// What the log will be once the commit under way is durable.
    var pendingLog: ArenaLog?
    /// The last commit wrote a header, so its footer may not be durable yet (FORMAT 9.2 rule 2).
    var headerIsFresh = false
    /// A log longer than this is worth a look at how short it could be.
    var compressionThreshold: Int

    /// How many times as long as it could be a log may become.
    var logGrowthMax = 4
    /// Logs up to this length are left alone.
    var logBlocksMin = 16 {
        didSet { compressionThreshold = logBlocksMin }
    }

    /// Blocks that were handed out since the arena was loaded, whatever became of them since.
    let handedOut: BlockBits

    private let free: Atomic<Int>

    /// A copy of the header that does not match the superblock, and what it should hold.
    struct StaleCopy: Sendable {
        var address: BlockAddress
        var content: BlockBuffer
    }

    /// A rewrite of the log that was decided on.
    struct Compression {
        /// Blocks set aside for the new chain, lowest first.
        var blocks: [BlockAddress]
    }

    init(
        index: Int, address: BlockAddress, header: ArenaHeader, headerHash: UInt64,
        staleCopy: StaleCopy? = nil, map: consuming FreeMap, log: ArenaLog
    ) {
        self.index = index
        self.address = address
        self.header = header
        self.headerHash = headerHash
        self.staleCopy = staleCopy
        start = address.rawValue + 2 * UInt64(Geometry.blockBytes)
        byteCount = header.byteCount
        reserveBlocks = Int(
            Geometry.reserveBytes(arenaBytes: header.byteCount) / UInt64(Geometry.blockBytes))
        free = Atomic(map.freeCount)
        handedOut = BlockBits(count: map.blockCount)
        highCursor = map.blockCount - 1
        compressionThreshold = logBlocksMin
        self.map = map
        self.log = log
    }

    // MARK: Counters, readable by any thread

    /// Blocks of the arena, the slop included.
    var blockCount: Int { Int(byteCount / UInt64(Geometry.blockBytes)) }
    /// Blocks that are free.
    var freeBlocks: Int { free.load(ordering: .relaxed) }
    /// Blocks that are in use; the slop counts as used.
    var usedBlocks: Int { blockCount - freeBlocks }
    /// Blocks that ordinary allocations may still take.
    var availableBlocks: Int { max(0, freeBlocks - reserveBlocks) }
    /// Blocks that allocations on the reserve may still take.
    var availableBlocksWithReserve: Int { max(0, freeBlocks - Self.logOnlyBlocks) }

    func publishCounters() {
        free.store(map.freeCount, ordering: .relaxed)
    }

    // MARK: Addresses

    /// Behind the last block.
    var end: UInt64 { start + byteCount }

    /// Whether a whole block of the arena lies at `address`.
    func contains(_ address: BlockAddress) -> Bool {
        address.isAligned && address.rawValue >= start && address.rawValue < end
    }

    /// The map's index of an address that the arena contains.
    func blockIndex(_ address: BlockAddress) -> Int {
        Int((address.rawValue - start) / UInt64(Geometry.blockBytes))
    }

    /// The address of a block of the map.
    func blockAddress(_ index: Int) -> BlockAddress {
        BlockAddress(rawValue: start + UInt64(index) * UInt64(Geometry.blockBytes))
    }

    /// Whether the block at an address that the arena contains is free.
    func isFree(_ address: BlockAddress) -> Bool {
        map.isFree(blockIndex(address))
    }
}
