/// Takes little endian fields from a message, in order.
///
/// What it returns points into the message and is valid as long as that is. Never reads past the
/// end: a field that is not there is an error.
public struct WireReader {
    @usableFromInline var rest: UnsafeRawBufferPointer

    @inlinable
    public init(_ bytes: UnsafeRawBufferPointer) {
        rest = bytes
    }

    /// Bytes not taken yet.
    @inlinable
    public var remainingBytes: Int { rest.count }

    @inlinable
    public mutating func integer<T: FixedWidthInteger>(
        _ type: T.Type
    ) throws(ProtocolError) -> T {
        let size = MemoryLayout<T>.size
        guard rest.count >= size, let base = rest.baseAddress else {
            throw .truncated(neededBytes: size, availableBytes: rest.count)
        }
        let value = T(littleEndian: base.loadUnaligned(as: T.self))
        rest = UnsafeRawBufferPointer(start: base + size, count: rest.count - size)
        return value
    }

    /// The next `count` bytes.
    @inlinable
    public mutating func bytes(_ count: Int) throws(ProtocolError) -> UnsafeRawBufferPointer {
        guard count >= 0, rest.count >= count else {
            throw .truncated(neededBytes: count, availableBytes: rest.count)
        }
        let taken = UnsafeRawBufferPointer(rebasing: rest.prefix(count))
        rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
        return taken
    }

    /// A string: `n[2]` and as many bytes. Its bytes are not looked at.
    @inlinable
    public mutating func string() throws(ProtocolError) -> UnsafeRawBufferPointer {
        try bytes(Int(integer(UInt16.self)))
    }

    @inlinable
    public mutating func fid() throws(ProtocolError) -> FidNumber {
        try FidNumber(rawValue: integer(UInt32.self))
    }

    @inlinable
    public mutating func tag() throws(ProtocolError) -> Tag {
        try Tag(rawValue: integer(UInt16.self))
    }

    @inlinable
    public mutating func qid() throws(ProtocolError) -> WireQid {
        let type = try integer(UInt8.self)
        let version = try integer(UInt32.self)
        return try WireQid(type: type, version: version, path: integer(UInt64.self))
    }

    /// All bytes that are left.
    @inlinable
    public mutating func remainder() -> UnsafeRawBufferPointer {
        defer { rest = UnsafeRawBufferPointer(rebasing: rest.suffix(0)) }
        return rest
    }

    /// Demands that nothing is left.
    @inlinable
    public func finish() throws(ProtocolError) {
        guard rest.isEmpty else { throw .trailingBytes(count: rest.count) }
    }
}
