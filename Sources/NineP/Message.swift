/// A message of 9P2000 whose strings and data lie in somebody else's buffer.
public protocol Message {
    static var type: MessageType { get }

    /// Reads the fields behind the header; the caller checks that nothing is left.
    init(decodingBody reader: inout WireReader) throws(ProtocolError)

    /// Writes the fields behind the header.
    func encodeBody(into writer: inout WireWriter)
}

extension Message {
    /// Encodes the whole message with its header; says how many bytes it has.
    ///
    /// - Throws: `ProtocolError.doesNotFit`; the buffer's contents are then of no use.
    public func encode(
        tag: Tag, into buffer: UnsafeMutableRawBufferPointer
    ) throws(ProtocolError) -> Int {
        var writer = WireWriter(buffer)
        writer.beginMessage(Self.type, tag: tag)
        encodeBody(into: &writer)
        return try writer.endMessage()
    }

    /// Decodes a body that must hold this message and nothing else.
    public init(body: UnsafeRawBufferPointer) throws(ProtocolError) {
        var reader = WireReader(body)
        try self.init(decodingBody: &reader)
        try reader.finish()
    }
}

extension WireWriter {
    /// Writes a header whose size `endMessage` fills in. The buffer must be empty.
    mutating func beginMessage(_ type: MessageType, tag: Tag) {
        integer(UInt32(0))
        integer(type.rawValue)
        integer(tag.rawValue)
    }

    mutating func endMessage() throws(ProtocolError) -> Int {
        guard !overflowed, let size = UInt32(exactly: byteCount) else { throw .doesNotFit }
        patch(size, at: 0)
        return byteCount
    }
}

/// The strings of our own side, which are never longer than a message may be.
extension StaticString {
    /// The text's bytes, for a message that is encoded while the text exists: always.
    public var wireBytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: utf8Start, count: utf8CodeUnitCount)
    }
}
