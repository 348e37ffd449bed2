/// A chain of deadlist blocks: the value of a deadlist key.
///
/// The chain runs from head to tail and ends there, whatever the tail's own link says.
/// Source: FORMAT 7 and 8.3.
public struct DeadlistRecord: Hashable, Sendable {
    // swift-format-ignore
    enum Layout {
        static let head      = 0
        static let tail      = head + BlockPointer.byteCount
        static let byteCount = tail + BlockPointer.byteCount
    }

    /// The encoded size, 48 bytes.
    @inlinable public static var byteCount: Int { 48 }

    /// The newest block, or none.
    public var head: BlockPointer
    /// The oldest block, or none.
    public var tail: BlockPointer

    /// A record made of its parts.
    public init(head: BlockPointer, tail: BlockPointer) {
        self.head = head
        self.tail = tail
    }

    /// Reads the value of a deadlist key.
    ///
    /// - Throws: `RecordError.size` when it has another size.
    public init(decoding bytes: UnsafeRawBufferPointer) throws(RecordError) {
        guard let base = bytes.baseAddress, bytes.count == Self.byteCount else {
            throw .size(found: bytes.count, expected: Self.byteCount)
        }
        head = BlockPointer(decoding: base + Layout.head)
        tail = BlockPointer(decoding: base + Layout.tail)
    }

    /// Writes 48 bytes.
    public func encode(into bytes: UnsafeMutableRawPointer) {
        head.encode(into: bytes + Layout.head)
        tail.encode(into: bytes + Layout.tail)
    }

    /// The 48 bytes.
    public func encoded() -> [UInt8] {
        encodedBytes(Self.byteCount) { encode(into: $0) }
    }

    /// Whether there are no blocks on it.
    public var isEmpty: Bool { head.isNone }
}
