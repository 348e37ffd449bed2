/// The entry to everything on a disk; kept in its first and its last block.
///
/// Source: FORMAT 3.
public struct Superblock: Hashable, Sendable {
    // swift-format-ignore
    enum Layout {
        static let magic            = ByteField<UInt64>(at: 0)
        static let blockBytes       = ByteField<UInt32>(after: magic)
        static let bufferBytes      = ByteField<UInt32>(after: blockBytes)
        static let arenaCount       = ByteField<UInt32>(after: bufferBytes)
        static let snapshotHeight   = ByteField<UInt32>(after: arenaCount)
        static let snapshotRoot     = ByteField<UInt64>(after: snapshotHeight)
        static let snapshotHash     = ByteField<UInt64>(after: snapshotRoot)
        static let pendingHead      = ByteField<UInt64>(after: snapshotHash)
        static let pendingHeadHash  = ByteField<UInt64>(after: pendingHead)
        static let pendingTail      = ByteField<UInt64>(after: pendingHeadHash)
        static let pendingTailHash  = ByteField<UInt64>(after: pendingTail)
        static let flags            = ByteField<UInt64>(after: pendingTailHash)
        static let nextQid          = ByteField<UInt64>(after: flags)
        static let nextGeneration   = ByteField<UInt64>(after: nextQid)
        static let commitGeneration = ByteField<UInt64>(after: nextGeneration)
        static let arenas           = commitGeneration.end
        static let arenaAddress     = ByteField<UInt64>(at: 0)
        static let arenaHash        = ByteField<UInt64>(after: arenaAddress)
        static let arenaBytes       = arenaHash.end

        static func hash(arenaCount: Int) -> ByteField<UInt64> {
            ByteField(at: arenas + arenaCount * arenaBytes)
        }
    }

    /// `gefs9.00` in ASCII, read as a number: a disk that the original can read.
    public static let magic: UInt64 = 0x6765_6673_392e_3030
    /// `gefsx.00`: a disk with features that the original does not know, and so refuses.
    public static let extendedMagic: UInt64 = 0x6765_6673_782e_3030

    /// Bytes that `looksLikeOne` wants to see.
    public static let beginningBytes = 6

    /// Bytes in use when there are as many arenas as there can be.
    public static let byteCountMax = Layout.hash(arenaCount: Geometry.arenaCountMax).end

    /// Whether a block begins like a superblock, of this or another version.
    public static func looksLikeOne(_ beginning: some Collection<UInt8>) -> Bool {
        beginning.starts(with: "gefs9.".utf8) || beginning.starts(with: "gefsx.".utf8)
    }

    /// What users call the version of a disk with these features.
    public static func versionText(_ features: FormatFeatures) -> String {
        features.isEmpty ? "gefs9.00" : "gefsx.00 (\(features.names))"
    }

    /// Where an arena lies and what its header hashes to.
    public struct ArenaReference: Hashable, Sendable {
        /// The address of the arena's header.
        public var address: BlockAddress
        /// The hash of the header, and of its copy in the footer.
        public var hash: UInt64

        /// A reference made of its parts.
        public init(address: BlockAddress, hash: UInt64) {
            self.address = address
            self.hash = hash
        }
    }

    /// Levels of the snapshot tree; 1 when its root is a leaf.
    public var snapshotTreeHeight: UInt32
    /// Root of the snapshot tree. Its generation is not stored; all blocks of this tree have 0.
    public var snapshotTreeRoot: BlockPointer
    /// Newest block of the list of blocks to free after the next commit, or none.
    public var pendingHead: BlockPointer
    /// Oldest block of that list, or none.
    public var pendingTail: BlockPointer
    /// What the disk has beyond the original's format. None, and the disk is the original's.
    public var features: FormatFeatures
    /// The next file's number.
    public var nextQid: UInt64
    /// The next generation to be handed out.
    public var nextGeneration: Generation
    /// The log barrier of this commit; grows from commit to commit.
    public var commitGeneration: UInt64
    /// The arenas by address, 1 to 255.
    public var arenas: [ArenaReference]

    /// A superblock made of its parts.
    public init(
        snapshotTreeHeight: UInt32, snapshotTreeRoot: BlockPointer,
        pendingHead: BlockPointer = .none, pendingTail: BlockPointer = .none,
        features: FormatFeatures = [], nextQid: UInt64, nextGeneration: Generation,
        commitGeneration: UInt64, arenas: [ArenaReference]
    ) {
        self.snapshotTreeHeight = snapshotTreeHeight
        self.snapshotTreeRoot = snapshotTreeRoot
        self.pendingHead = pendingHead
        self.pendingTail = pendingTail
        self.features = features
        self.nextQid = nextQid
        self.nextGeneration = nextGeneration
        self.commitGeneration = commitGeneration
        self.arenas = arenas
    }

    /// Reads a superblock.
    ///
    /// - Throws: `CorruptBlock` when magic or hash are wrong, or when the hash is right and yet a
    ///   field is none that this implementation can work with.
    public init(
        decoding block: UnsafeRawBufferPointer, at address: BlockAddress
    ) throws(CorruptBlock) {
        func corrupt(_ reason: CorruptBlock.Reason) -> CorruptBlock {
            CorruptBlock(address, .superblock, reason)
        }
        guard let base = block.baseAddress, block.count == Geometry.blockBytes else {
            throw corrupt(.blockSize(found: block.count))
        }
        let isExtended = base[Layout.magic] == Self.extendedMagic
        guard isExtended || base[Layout.magic] == Self.magic else {
            throw corrupt(.magic(base[Layout.magic]))
        }
        // The count says where the hash is, so it has to be plausible before anything is vouched
        // for.
        let storedCount = base[Layout.arenaCount]
        guard let count = Int(exactly: storedCount), (1...Geometry.arenaCountMax).contains(count)
        else { throw corrupt(.arenaCount(storedCount)) }
        let hashField = Layout.hash(arenaCount: count)
        let hash = MetroHash64.hash(UnsafeRawBufferPointer(start: base, count: hashField.offset))
        guard hash == base[hashField] else {
            throw corrupt(.hash(found: hash, expected: base[hashField]))
        }
        snapshotTreeHeight = base[Layout.snapshotHeight]
        snapshotTreeRoot = BlockPointer(
            address: BlockAddress(rawValue: base[Layout.snapshotRoot]),
            hash: base[Layout.snapshotHash], generation: .zero)
        pendingHead = Self.listEnd(base[Layout.pendingHead], base[Layout.pendingHeadHash])
        pendingTail = Self.listEnd(base[Layout.pendingTail], base[Layout.pendingTailHash])
        features = FormatFeatures(rawValue: base[Layout.flags])
        nextQid = base[Layout.nextQid]
        nextGeneration = Generation(rawValue: base[Layout.nextGeneration])
        commitGeneration = base[Layout.commitGeneration]
        arenas = (0..<count).map { index in
            let entry = base + Layout.arenas + index * Layout.arenaBytes
            return ArenaReference(
                address: BlockAddress(rawValue: entry[Layout.arenaAddress]),
                hash: entry[Layout.arenaHash])
        }
        let blockBytes = base[Layout.blockBytes]
        guard Int(exactly: blockBytes) == Geometry.blockBytes else {
            throw corrupt(.superblockBlockBytes(blockBytes))
        }
        let bufferBytes = base[Layout.bufferBytes]
        guard Int(exactly: bufferBytes) == Geometry.pivotBufferBytes else {
            throw corrupt(.superblockBufferBytes(bufferBytes))
        }
        guard isExtended != features.isEmpty else {
            throw corrupt(.featureFlags(features.rawValue))
        }
        if let reason = fault { throw corrupt(reason) }
    }

    /// Writes a whole block: the fields, their hash, and zeros behind.
    public func encode(into block: UnsafeMutableRawBufferPointer) {
        precondition(block.count == Geometry.blockBytes)
        precondition((1...Geometry.arenaCountMax).contains(arenas.count))
        guard let base = block.baseAddress else { return }
        base[Layout.magic] = features.isEmpty ? Self.magic : Self.extendedMagic
        base[Layout.blockBytes] = UInt32(Geometry.blockBytes)
        base[Layout.bufferBytes] = UInt32(Geometry.pivotBufferBytes)
        base[Layout.arenaCount] = UInt32(arenas.count)
        base[Layout.snapshotHeight] = snapshotTreeHeight
        base[Layout.snapshotRoot] = snapshotTreeRoot.address.rawValue
        base[Layout.snapshotHash] = snapshotTreeRoot.hash
        base[Layout.pendingHead] = pendingHead.address.rawValue
        base[Layout.pendingHeadHash] = pendingHead.hash
        base[Layout.pendingTail] = pendingTail.address.rawValue
        base[Layout.pendingTailHash] = pendingTail.hash
        base[Layout.flags] = features.rawValue
        base[Layout.nextQid] = nextQid
        base[Layout.nextGeneration] = nextGeneration.rawValue
        base[Layout.commitGeneration] = commitGeneration
        for (index, arena) in arenas.enumerated() {
            let entry = base + Layout.arenas + index * Layout.arenaBytes
            entry[Layout.arenaAddress] = arena.address.rawValue
            entry[Layout.arenaHash] = arena.hash
        }
        let hashField = Layout.hash(arenaCount: arenas.count)
        base[hashField] = MetroHash64.hash(
            UnsafeRawBufferPointer(start: base, count: hashField.offset))
        base.storeZeros(from: hashField.end, to: Geometry.blockBytes)
    }

    private static func listEnd(_ address: UInt64, _ hash: UInt64) -> BlockPointer {
        let address = BlockAddress(rawValue: address)
        return address.isNone
            ? .none : BlockPointer(address: address, hash: hash, generation: .zero)
    }

    /// Half of what a log barrier can hold.
    private static let commitGenerationLimit: UInt64 = 1 << 55
    private static let nextGenerationLimit: UInt64 = 1 << 63

    /// What keeps a superblock from being usable although its hash is right.
    public var fault: CorruptBlock.Reason? {
        guard features.isSubset(of: .known) else { return .featureFlags(features.rawValue) }
        guard snapshotTreeHeight >= 1, snapshotTreeHeight <= Geometry.treeHeightMax else {
            return .treeHeight(snapshotTreeHeight)
        }
        guard snapshotTreeRoot.address.isAligned else {
            return .rootAddress(snapshotTreeRoot.address)
        }
        // Both only grow, so half of their range is out of reach: what is there would soon overflow.
        guard commitGeneration < Self.commitGenerationLimit else {
            return .commitGeneration(commitGeneration)
        }
        guard nextGeneration.rawValue < Self.nextGenerationLimit else {
            return .nextGeneration(nextGeneration.rawValue)
        }
        let listIsWhole = pendingHead.address.isAligned && pendingTail.address.isAligned
        guard listIsWhole || (pendingHead.isNone && pendingTail.isNone) else {
            return .pendingList(head: pendingHead.address, tail: pendingTail.address)
        }
        var previous = BlockAddress(rawValue: 0)
        for (index, arena) in arenas.enumerated() {
            guard arena.address.isAligned, arena.address > previous else {
                return .arenaAddress(index: index, arena.address)
            }
            previous = arena.address
        }
        return nil
    }
}
