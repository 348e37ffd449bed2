/// An allocation log or deadlist block whose header and hash were checked.
///
/// Both kinds are links of a chain with the same header. The hash covers the used entries only:
/// neither sizes nor `next` are vouched for by it.
/// Source: FORMAT 5 and 8.3.
public struct ChainBlockView: @unchecked Sendable {
    // swift-format-ignore
    enum Layout {
        static let kind      = ByteField<UInt16>(at: 0)
        static let usedBytes = ByteField<UInt16>(after: kind)
        static let hash      = ByteField<UInt64>(after: usedBytes)
        static let next      = hash.end
        static let entries   = next + BlockPointer.byteCount
    }

    private let base: UnsafeRawPointer
    /// Where the block lies.
    public let address: BlockAddress
    /// `allocationLog` or `deadlist`.
    public let kind: BlockKind
    /// Bytes of entries in use.
    public let usedBytes: Int

    /// Checks a block that must be of kind `kind`.
    ///
    /// The memory has to live as long as the view.
    /// - Throws: `CorruptBlock` when kind, size or hash are wrong, or a block of ours lies elsewhere
    ///   than it was written for, or links elsewhere (`ChainTag`).
    public init(
        checking block: UnsafeRawBufferPointer, at address: BlockAddress, expecting kind: BlockKind
    ) throws(CorruptBlock) {
        assert(kind == .allocationLog || kind == .deadlist)
        guard let base = block.baseAddress, block.count == Geometry.blockBytes else {
            throw CorruptBlock(address, kind, .blockSize(found: block.count))
        }
        let storedKind = base[Layout.kind]
        guard storedKind == kind.rawValue else {
            throw CorruptBlock(address, kind, .kind(found: storedKind, expected: kind))
        }
        let usedBytes = Int(base[Layout.usedBytes])
        guard usedBytes <= Geometry.logSpaceBytes, usedBytes % LogEntry.wordBytes == 0 else {
            throw CorruptBlock(address, kind, .entryBytes(usedBytes))
        }
        let hash = MetroHash64.hash(
            UnsafeRawBufferPointer(start: base + Layout.entries, count: usedBytes))
        guard hash == base[Layout.hash] else {
            throw CorruptBlock(address, kind, .hash(found: hash, expected: base[Layout.hash]))
        }
        let next = BlockPointer(decoding: base + Layout.next)
        switch ChainTag.verdict(next.hash, entries: hash, next: next.address, at: address) {
        case .good, .untagged: break
        case .misplaced(let place): throw CorruptBlock(address, kind, .misplaced(place))
        case .link(let found, let expected):
            throw CorruptBlock(address, kind, .link(found: found, expected: expected))
        }
        self.base = base
        self.address = address
        self.kind = kind
        self.usedBytes = usedBytes
    }

    /// The used entries.
    public var entries: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: base + Layout.entries, count: usedBytes)
    }

    /// The hash of the used entries.
    public var hash: UInt64 { base[Layout.hash] }

    /// The next block of the chain as stored. Its hash and generation have no meaning, and nothing
    /// has meaning in the last block of a deadlist or behind the barrier of a log.
    public var next: BlockPointer { BlockPointer(decoding: base + Layout.next) }

    /// The address of the next block, or `none`.
    ///
    /// - Throws: `CorruptBlock` when it cannot be that of a block.
    public func checkedNext() throws(CorruptBlock) -> BlockAddress {
        let next = next.address
        guard next.isNone || next.isAligned else {
            throw CorruptBlock(address, kind, .address(next))
        }
        return next
    }
}

extension ChainBlockView {
    /// Walks the entries of an allocation log block in order.
    public struct LogCursor {
        private let entries: UnsafeRawBufferPointer
        private let address: BlockAddress
        /// The byte of the entry area behind the entry returned last.
        public private(set) var offset = 0

        fileprivate init(_ view: ChainBlockView) {
            entries = view.entries
            address = view.address
        }

        /// The next entry, or `nil` at the end.
        ///
        /// - Throws: `CorruptBlock` when it is none.
        public mutating func next() throws(CorruptBlock) -> LogEntry? {
            guard offset < entries.count else { return nil }
            do throws(CorruptBlock.Reason) {
                let (entry, end) = try LogEntry.decode(entries, at: offset)
                offset = end
                return entry
            } catch {
                throw CorruptBlock(address, .allocationLog, error)
            }
        }
    }

    /// The entries of an allocation log block.
    public func logEntries() -> LogCursor {
        assert(kind == .allocationLog)
        return LogCursor(self)
    }

    /// How many addresses a deadlist block holds.
    public var addressCount: Int { usedBytes / LogEntry.wordBytes }

    /// An address of a deadlist block.
    ///
    /// - Parameter index: 0 up to `addressCount`, oldest first.
    /// - Throws: `CorruptBlock` when it cannot be that of a block.
    public func deadAddress(_ index: Int) throws(CorruptBlock) -> BlockAddress {
        precondition(index >= 0 && index < addressCount)
        let dead = BlockAddress(
            rawValue: base.loadBigEndian(
                at: Layout.entries + index * LogEntry.wordBytes, as: UInt64.self))
        guard dead.isAligned else {
            throw CorruptBlock(address, kind, .deadAddress(index: index, dead))
        }
        return dead
    }
}
