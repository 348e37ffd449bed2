/// Fills an allocation log or deadlist block.
///
/// Source: FORMAT 5, 5.4 and 8.3.
public struct ChainBlockBuilder {
    private typealias Layout = ChainBlockView.Layout

    private let base: UnsafeMutableRawPointer
    /// Bytes of entries so far.
    public private(set) var usedBytes: Int

    /// Starts an empty block in 16384 bytes of memory that outlive the builder.
    public init(block: UnsafeMutableRawPointer) {
        base = block
        usedBytes = 0
    }

    /// Goes on behind the entries of a block that is already there.
    ///
    /// - Parameters:
    ///   - block: a block that `ChainBlockView` has checked.
    ///   - usedBytes: how many of its entry bytes to keep; `nil` keeps all.
    public init(continuing block: UnsafeMutableRawPointer, usedBytes: Int? = nil) {
        base = block
        let stored = Int(block[Layout.usedBytes])
        self.usedBytes = min(usedBytes ?? stored, stored, Geometry.logSpaceBytes)
    }

    /// Bytes until the block cannot take any more.
    public var remainingBytes: Int { Geometry.logSpaceBytes - usedBytes }

    /// Whether only the tail room is left, so that the chain should go on in another block.
    public var isFull: Bool { remainingBytes <= Geometry.logSlopBytes }

    /// Adds a log entry.
    ///
    /// - Parameters:
    ///   - entry: what to add.
    ///   - withLength: state the length even of a single block, as a fresh disk does.
    /// - Returns: whether there was room.
    public mutating func append(_ entry: LogEntry, withLength: Bool = false) -> Bool {
        let needed = withLength ? 2 * LogEntry.wordBytes : entry.byteCount
        guard needed <= remainingBytes else { return false }
        usedBytes += entry.encode(
            into: base + Layout.entries + usedBytes, withLength: withLength)
        return true
    }

    /// Adds an address to a deadlist.
    ///
    /// - Returns: whether there was room.
    public mutating func append(_ address: BlockAddress) -> Bool {
        assert(address.isAligned)
        guard LogEntry.wordBytes <= remainingBytes else { return false }
        base.storeBigEndian(address.rawValue, at: Layout.entries + usedBytes)
        usedBytes += LogEntry.wordBytes
        return true
    }

    /// Writes header and hash, and zeros behind the entries.
    public mutating func finish(kind: BlockKind, next: BlockPointer = .none) {
        assert(kind == .allocationLog || kind == .deadlist)
        base[Layout.kind] = kind.rawValue
        base[Layout.usedBytes] = UInt16(usedBytes)
        base[Layout.hash] = MetroHash64.hash(
            UnsafeRawBufferPointer(start: base + Layout.entries, count: usedBytes))
        next.encode(into: base + Layout.next)
        base.storeZeros(from: Layout.entries + usedBytes, to: Geometry.blockBytes)
    }

    /// Changes where the chain of a finished block goes on, and nothing else. Only the first
    /// sector changes.
    public static func setNext(_ next: BlockPointer, in block: UnsafeMutableRawPointer) {
        next.encode(into: block + Layout.next)
    }

    /// Writes into a finished block where it is going to lie, so that a copy of it elsewhere, or
    /// another link, is noticed. Only the first sector changes; the original ignores it.
    public static func seal(_ block: UnsafeMutableRawPointer, at address: BlockAddress) {
        var next = BlockPointer(decoding: block + Layout.next)
        next.hash = ChainTag.make(entries: block[Layout.hash], next: next.address, at: address)
        next.encode(into: block + Layout.next)
    }
}
