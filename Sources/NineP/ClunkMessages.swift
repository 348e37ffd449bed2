/// `size[4] Tclunk tag[2] fid[4]`
public struct Tclunk: Message {
    public static let type = MessageType.tClunk

    public var fid: FidNumber

    public init(fid: FidNumber) {
        self.fid = fid
    }

    public init(decodingBody reader: inout WireReader) throws(ProtocolError) {
        fid = try reader.fid()
    }

    public func encodeBody(into writer: inout WireWriter) {
        writer.integer(fid.rawValue)
    }
}

/// `size[4] Rclunk tag[2]`
public struct Rclunk: Message {
    public static let type = MessageType.rClunk

    public init() {}

    public init(decodingBody reader: inout WireReader) throws(ProtocolError) {}

    public func encodeBody(into writer: inout WireWriter) {}
}
