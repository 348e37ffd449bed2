import GefsFormat

/// What the checker looks at: one committed state of a volume.
///
/// Two kinds exist: a closed device, which loads itself and reports what is wrong with it, and a
/// running volume pinned at its last commit. The latter promises that until the check is over no
/// block that this commit refers to is reused, and answers for the commit, not for what was
/// changed since.
///
/// `read` is called from two threads at once.
protocol CheckSource: AnyObject, Sendable {
    /// Length of the device in bytes.
    var deviceBytes: UInt64 { get }

    /// The superblock of the commit.
    var superblock: Superblock { get }

    /// The arenas by address; those that cannot be made out at all are left out.
    var arenas: [CheckedArena] { get }

    /// Whether blocks may be linked behind the recorded tail of a deadlist while the check runs.
    /// The original follows such links, so on a closed device they are worth a warning.
    var isRunning: Bool { get }

    /// Calls `body` with each free range of an arena as of the commit, in bytes of the device,
    /// lowest first. Only asked for arenas whose map is known.
    func forEachFreeRange(of arena: CheckedArena, _ body: (Range<UInt64>) -> Void)

    /// Fills `buffer`, whose size is a multiple of the block size, from the device; may block.
    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(DeviceError)
}

/// What the checker has to know of an arena.
struct CheckedArena: Hashable, Sendable {
    /// Its place in the superblock.
    var index: Int
    /// Where the header lies.
    var address: BlockAddress
    /// S: the bytes behind header and footer.
    var byteCount: UInt64
    /// The blocks of the allocation log up to the barrier of the commit.
    var logBlocks: [BlockAddress]
    /// Whether the log could be replayed. If not, every block of the arena counts as used.
    var isMapKnown: Bool

    /// The first block that can be allocated.
    var start: UInt64 { address.rawValue + 2 * UInt64(Geometry.blockBytes) }
    /// The first byte behind the arena.
    var end: UInt64 { start + byteCount }
    /// The blocks from here on are never handed out.
    var usableEnd: UInt64 { end - UInt64(Geometry.arenaSlopBlocks * Geometry.blockBytes) }
}
