/// A snapshot: the root of its tree and its place among the others. Value of a snapshot key.
///
/// Links may name snapshots that are gone, and counts may be too high: dialect R leaves both.
/// Source: FORMAT 7.3.
public struct SnapshotRecord: Hashable, Sendable {
    // swift-format-ignore
    enum Layout {
        static let referenceCount = ByteField<UInt32>(at: 0)
        static let labelCount     = ByteField<UInt32>(after: referenceCount)
        static let height         = ByteField<UInt32>(after: labelCount)
        static let flags          = ByteField<UInt32>(after: height)
        static let generation     = ByteField<UInt64>(after: flags)
        static let predecessor    = ByteField<UInt64>(after: generation)
        static let successor      = ByteField<UInt64>(after: predecessor)
        static let base           = ByteField<UInt64>(after: successor)
        static let root           = base.end
        static let byteCount      = root + BlockPointer.byteCount
    }

    /// The encoded size, 72 bytes.
    @inlinable public static var byteCount: Int { 72 }

    /// Snapshots derived from this one: successor and forks in dialect R, forks only in N.
    public var referenceCount: UInt32
    /// Labels that name it.
    public var labelCount: UInt32
    /// Levels of the tree; 1 when the root is a leaf.
    public var height: UInt32
    /// 0.
    public var flags: UInt32
    /// The snapshot's own generation, the same as in its key.
    public var generation: Generation
    /// The snapshot before it, or `none`.
    public var predecessor: Generation
    /// The snapshot after it on the same line, or `none`.
    public var successor: Generation
    /// Blocks born in this generation or before belong to the history it was forked from.
    public var base: Generation
    /// The root of its tree.
    public var root: BlockPointer

    /// A record made of its parts.
    public init(
        referenceCount: UInt32, labelCount: UInt32, height: UInt32, flags: UInt32 = 0,
        generation: Generation, predecessor: Generation, successor: Generation = .none,
        base: Generation, root: BlockPointer
    ) {
        self.referenceCount = referenceCount
        self.labelCount = labelCount
        self.height = height
        self.flags = flags
        self.generation = generation
        self.predecessor = predecessor
        self.successor = successor
        self.base = base
        self.root = root
    }

    /// Reads the value of a snapshot key; bytes behind the first 72 are ignored.
    ///
    /// - Throws: `RecordError.size` when it is shorter.
    public init(decoding bytes: UnsafeRawBufferPointer) throws(RecordError) {
        guard let base = bytes.baseAddress, bytes.count >= Self.byteCount else {
            throw .size(found: bytes.count, expected: Self.byteCount)
        }
        referenceCount = base[Layout.referenceCount]
        labelCount = base[Layout.labelCount]
        height = base[Layout.height]
        flags = base[Layout.flags]
        generation = Generation(rawValue: base[Layout.generation])
        predecessor = Generation(rawValue: base[Layout.predecessor])
        successor = Generation(rawValue: base[Layout.successor])
        self.base = Generation(rawValue: base[Layout.base])
        root = BlockPointer(decoding: base + Layout.root)
    }

    /// Writes 72 bytes.
    public func encode(into bytes: UnsafeMutableRawPointer) {
        bytes[Layout.referenceCount] = referenceCount
        bytes[Layout.labelCount] = labelCount
        bytes[Layout.height] = height
        bytes[Layout.flags] = flags
        bytes[Layout.generation] = generation.rawValue
        bytes[Layout.predecessor] = predecessor.rawValue
        bytes[Layout.successor] = successor.rawValue
        bytes[Layout.base] = base.rawValue
        root.encode(into: bytes + Layout.root)
    }

    /// The 72 bytes.
    public func encoded() -> [UInt8] {
        encodedBytes(Self.byteCount) { encode(into: $0) }
    }
}
