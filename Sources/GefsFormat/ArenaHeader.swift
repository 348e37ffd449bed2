/// The start of an arena, kept twice: in its first block and in the one behind.
///
/// The hash that vouches for either copy is in the superblock.
/// Source: FORMAT 4.
public struct ArenaHeader: Hashable, Sendable {
    // swift-format-ignore
    enum Layout {
        static let kind      = ByteField<UInt16>(at: 0)
        static let logHead   = ByteField<UInt64>(after: kind)
        static let logHash   = ByteField<UInt64>(after: logHead)
        static let byteCount = ByteField<UInt64>(after: logHash)
        static let usedBytes = ByteField<UInt64>(after: byteCount)
    }

    /// The first block of the allocation log.
    public var logHead: BlockAddress
    /// A stale hash of it, to be ignored.
    public var logHash: UInt64
    /// S: the bytes behind header and footer, a multiple of the block size.
    public var byteCount: UInt64
    /// Bytes in use when the header was written; often stale, the log knows.
    public var usedBytes: UInt64

    /// A header made of its parts.
    public init(logHead: BlockAddress, logHash: UInt64, byteCount: UInt64, usedBytes: UInt64) {
        self.logHead = logHead
        self.logHash = logHash
        self.byteCount = byteCount
        self.usedBytes = usedBytes
    }

    /// Reads a header or footer.
    ///
    /// - Parameters:
    ///   - block: a whole block.
    ///   - address: where it was read, for the error.
    ///   - hash: what the superblock says it hashes to; `nil` does not check.
    /// - Throws: `CorruptBlock` when it is none, has another hash, or impossible fields.
    public init(
        decoding block: UnsafeRawBufferPointer, at address: BlockAddress, hash: UInt64? = nil
    ) throws(CorruptBlock) {
        guard let base = block.baseAddress, block.count == Geometry.blockBytes else {
            throw CorruptBlock(address, .arena, .blockSize(found: block.count))
        }
        let kind = base[Layout.kind]
        guard kind == BlockKind.arena.rawValue else {
            throw CorruptBlock(address, .arena, .kind(found: kind, expected: .arena))
        }
        if let hash {
            let found = MetroHash64.hash(block)
            guard found == hash else {
                throw CorruptBlock(address, .arena, .hash(found: found, expected: hash))
            }
        }
        logHead = BlockAddress(rawValue: base[Layout.logHead])
        logHash = base[Layout.logHash]
        byteCount = base[Layout.byteCount]
        usedBytes = base[Layout.usedBytes]
        guard logHead.isAligned else {
            throw CorruptBlock(address, .arena, .logHead(logHead))
        }
        let blockBytes = UInt64(Geometry.blockBytes)
        let slopBytes = UInt64(Geometry.arenaSlopBlocks) * blockBytes
        guard byteCount % blockBytes == 0, byteCount > slopBytes, byteCount <= UInt64(Int64.max)
        else { throw CorruptBlock(address, .arena, .arenaBytes(byteCount)) }
    }

    /// Writes a whole block, zeros behind the fields.
    ///
    /// - Returns: the block's hash, for the superblock.
    @discardableResult
    public func encode(into block: UnsafeMutableRawBufferPointer) -> UInt64 {
        precondition(block.count == Geometry.blockBytes)
        guard let base = block.baseAddress else { return 0 }
        base[Layout.kind] = BlockKind.arena.rawValue
        base[Layout.logHead] = logHead.rawValue
        base[Layout.logHash] = logHash
        base[Layout.byteCount] = byteCount
        base[Layout.usedBytes] = usedBytes
        base.storeZeros(from: Layout.usedBytes.end, to: Geometry.blockBytes)
        return MetroHash64.hash(UnsafeRawBufferPointer(block))
    }
}
