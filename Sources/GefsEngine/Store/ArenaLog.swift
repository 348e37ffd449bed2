import GefsFormat

/// Where an arena's log stands: its blocks, and what its last block holds.
///
/// The first sector of the last block is kept in memory because it is what a commit rewrites: its
/// chain field, and entries as long as they lie within the sector (FORMAT 9.5 rule 1).
///
/// Logs that we write end in a block whose entries leave the last word of the first sector free.
/// That word takes the barrier of the last durable superblock when an arena that sat out commits
/// changes again, so that no extra flush is needed before its next block is linked.
struct ArenaLog: Sendable {
    /// Entry bytes that lie within the first sector of a log block.
    static let sectorEntryBytes = Geometry.sectorBytes - Geometry.logHeaderBytes
    /// Most entry bytes of a last block that we write.
    static let tailBytesMax =
        sectorEntryBytes / LogEntry.wordBytes * LogEntry.wordBytes - LogEntry.wordBytes
    /// Most entry bytes of any other block that we write.
    static let blockBytesMax = Geometry.logSpaceBytes - Geometry.logSlopBytes

    /// The blocks in order, the first one is in the arena's header.
    private(set) var chain: [BlockAddress]
    /// The same, for membership.
    private(set) var members: Set<BlockAddress>
    /// First sector of the last block as it is, or will be after repair, on the device.
    var tailSector: [UInt8]
    /// Entry bytes of the last block that are valid.
    var tailBytes: Int
    /// The barrier that the log ends in, nil if there is none.
    var lastBarrier: UInt64?
    /// Whether the sector on the device has more than `tailSector`: entries behind the barrier, or
    /// a link, of a commit that never became durable. It must be rewritten before any commit.
    var needsCut = false

    init(chain: [BlockAddress], tailSector: [UInt8], tailBytes: Int, lastBarrier: UInt64?) {
        self.chain = chain
        members = Set(chain)
        self.tailSector = tailSector
        self.tailBytes = tailBytes
        self.lastBarrier = lastBarrier
    }

    var head: BlockAddress { chain[0] }
    var tail: BlockAddress { chain[chain.count - 1] }

    mutating func append(_ blocks: [BlockAddress]) {
        chain += blocks
        members.formUnion(blocks)
    }

    /// Whether `byteCount` more entry bytes can be added to the last block in place.
    func fitsInPlace(_ byteCount: Int) -> Bool {
        tailBytes + byteCount <= Self.tailBytesMax
    }

    /// Whether a single word, a barrier, can be added to the last block in place.
    var fitsBarrier: Bool {
        tailBytes + LogEntry.wordBytes <= Self.sectorEntryBytes
    }
}
