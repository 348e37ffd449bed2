/// A reference to one block: where it lies, what it must hash to, and when it was written.
///
/// The hash lives in the parent, so that a stale or misdirected block cannot vouch for itself.
/// All pointers to one block are equal.
/// Source: FORMAT 6.1.
@frozen
public struct BlockPointer: Hashable, Sendable {
    // swift-format-ignore
    @usableFromInline
    enum Layout {
        @inlinable static var address: ByteField<UInt64>    { ByteField(at: 0) }
        @inlinable static var hash: ByteField<UInt64>       { ByteField(after: address) }
        @inlinable static var generation: ByteField<UInt64> { ByteField(after: hash) }
        @inlinable static var byteCount: Int                { generation.end }
    }

    /// The encoded size, 24 bytes.
    @inlinable
    public static var byteCount: Int { Layout.byteCount }

    /// The first byte of the block on the device.
    public var address: BlockAddress
    /// MetroHash64 of the whole block; without meaning for log and deadlist blocks.
    public var hash: UInt64
    /// The generation the block was born in.
    public var generation: Generation

    /// A pointer made of its parts.
    @inlinable
    public init(address: BlockAddress, hash: UInt64, generation: Generation) {
        self.address = address
        self.hash = hash
        self.generation = generation
    }

    /// Reads 24 bytes.
    @inlinable
    public init(decoding bytes: UnsafeRawPointer) {
        address = BlockAddress(rawValue: bytes[Layout.address])
        hash = bytes[Layout.hash]
        generation = Generation(rawValue: bytes[Layout.generation])
    }

    /// Writes 24 bytes.
    @inlinable
    public func encode(into bytes: UnsafeMutableRawPointer) {
        bytes[Layout.address] = address.rawValue
        bytes[Layout.hash] = hash
        bytes[Layout.generation] = generation.rawValue
    }

    /// NIL in all fields: points nowhere.
    @inlinable
    public static var none: BlockPointer {
        BlockPointer(address: .none, hash: .max, generation: .none)
    }

    /// Whether it points nowhere. Only the address counts; the other fields are then arbitrary.
    @inlinable
    public var isNone: Bool { address.isNone }
}
