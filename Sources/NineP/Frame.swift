/// A message's first seven bytes and the bytes behind them: `size[4] type[1] tag[2] body[size-7]`.
///
/// The body points into the buffer that the frame was taken from.
public struct Frame {
    /// As on the wire; need not be one of ours.
    public var rawType: UInt8
    public var tag: Tag
    public var body: UnsafeRawBufferPointer

    /// The whole message's size.
    public var byteCount: Int { WireLimits.headerBytes + body.count }

    /// Says how many bytes the first message in `bytes` has, nil while its size field is not there.
    ///
    /// - Throws: `ProtocolError.frameTooShort` and `.frameTooLong`.
    public static func byteCount(
        in bytes: UnsafeRawBufferPointer, limit: Int
    ) throws(ProtocolError) -> Int? {
        guard bytes.count >= 4 else { return nil }
        let size = Int(UInt32(littleEndian: bytes.loadUnaligned(as: UInt32.self)))
        guard size >= WireLimits.headerBytes else { throw .frameTooShort(byteCount: size) }
        guard size <= limit else { throw .frameTooLong(byteCount: size, limit: limit) }
        return size
    }

    /// Takes the first message from `bytes`, nil while it is not complete.
    ///
    /// - Throws: `ProtocolError.frameTooShort` and `.frameTooLong`.
    public init?(
        firstOf bytes: UnsafeRawBufferPointer, limit: Int
    ) throws(ProtocolError) {
        guard let size = try Self.byteCount(in: bytes, limit: limit), bytes.count >= size else {
            return nil
        }
        rawType = bytes[4]
        tag = Tag(
            rawValue: UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: 5, as: UInt16.self)))
        body = UnsafeRawBufferPointer(rebasing: bytes[WireLimits.headerBytes..<size])
    }
}
