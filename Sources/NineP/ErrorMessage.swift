/// `size[4] Rerror tag[2] ename[s]`
///
/// There is no Terror.
public struct Rerror: Message {
    public static let type = MessageType.rError

    public var text: UnsafeRawBufferPointer

    public init(text: UnsafeRawBufferPointer) {
        self.text = text
    }

    public init(decodingBody reader: inout WireReader) throws(ProtocolError) {
        text = try reader.string()
    }

    public func encodeBody(into writer: inout WireWriter) {
        writer.string(text)
    }
}
