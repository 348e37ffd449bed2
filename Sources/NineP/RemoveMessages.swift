/// `size[4] Tremove tag[2] fid[4]`
///
/// Clunks the fid whether it succeeds or not.
public struct Tremove: Message {
    public static let type = MessageType.tRemove

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

/// `size[4] Rremove tag[2]`
public struct Rremove: Message {
    public static let type = MessageType.rRemove

    public init() {}

    public init(decodingBody reader: inout WireReader) throws(ProtocolError) {}

    public func encodeBody(into writer: inout WireWriter) {}
}
