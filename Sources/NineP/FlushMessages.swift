/// `size[4] Tflush tag[2] oldtag[2]`
public struct Tflush: Message {
    public static let type = MessageType.tFlush

    /// Tag of the request the client no longer wants answered.
    public var oldTag: Tag

    public init(oldTag: Tag) {
        self.oldTag = oldTag
    }

    public init(decodingBody reader: inout WireReader) throws(ProtocolError) {
        oldTag = try reader.tag()
    }

    public func encodeBody(into writer: inout WireWriter) {
        writer.integer(oldTag.rawValue)
    }
}

/// `size[4] Rflush tag[2]`
public struct Rflush: Message {
    public static let type = MessageType.rFlush

    public init() {}

    public init(decodingBody reader: inout WireReader) throws(ProtocolError) {}

    public func encodeBody(into writer: inout WireWriter) {}
}
