/// What a label names: the value of a label key.
///
/// Source: FORMAT 7 and 7.3.
public struct LabelRecord: Hashable, Sendable {
    // swift-format-ignore
    enum Layout {
        static let kind       = ByteField<UInt8>(at: 0)
        static let generation = ByteField<UInt64>(after: kind)
        static let flags      = ByteField<UInt32>(after: generation)
        static let byteCount  = flags.end
    }

    /// The encoded size, 13 bytes.
    @inlinable public static var byteCount: Int { 13 }

    /// Bit of `flags`: the label follows what is written through it.
    @inlinable public static var flagMutable: UInt32 { 1 }

    /// The snapshot it names.
    public var generation: Generation
    /// `flagMutable` or 0; other bits are dead and kept as they are.
    public var flags: UInt32

    /// A record made of its parts.
    public init(generation: Generation, flags: UInt32) {
        self.generation = generation
        self.flags = flags
    }

    /// Reads the value of a label key.
    ///
    /// - Throws: `RecordError` when the size is wrong or it does not name a snapshot.
    public init(decoding bytes: UnsafeRawBufferPointer) throws(RecordError) {
        guard let base = bytes.baseAddress, bytes.count == Self.byteCount else {
            throw .size(found: bytes.count, expected: Self.byteCount)
        }
        let kind = base[Layout.kind]
        guard kind == KeyKind.snapshot.rawValue else { throw .labelTarget(kind: kind) }
        generation = Generation(rawValue: base[Layout.generation])
        flags = base[Layout.flags]
    }

    /// Writes 13 bytes.
    public func encode(into bytes: UnsafeMutableRawPointer) {
        bytes[Layout.kind] = KeyKind.snapshot.rawValue
        bytes[Layout.generation] = generation.rawValue
        bytes[Layout.flags] = flags
    }

    /// The 13 bytes.
    public func encoded() -> [UInt8] {
        encodedBytes(Self.byteCount) { encode(into: $0) }
    }

    /// Whether the label follows what is written through it.
    @inlinable public var isMutable: Bool { flags & Self.flagMutable != 0 }
}
