/// `size[4] Twstat tag[2] fid[4] n[2] stat[n]`
public struct Twstat: Message {
    public static let type = MessageType.tWstat

    public var fid: FidNumber
    /// The stat record, not looked at yet: a bad one is the request's error, not the connection's.
    public var record: UnsafeRawBufferPointer

    public init(fid: FidNumber, record: UnsafeRawBufferPointer) {
        self.fid = fid
        self.record = record
    }

    public init(decodingBody reader: inout WireReader) throws(ProtocolError) {
        fid = try reader.fid()
        record = try reader.string()
    }

    public func encodeBody(into writer: inout WireWriter) {
        writer.integer(fid.rawValue)
        writer.string(record)
    }

    /// Encodes a wstat of the given fields.
    ///
    /// - Throws: `ProtocolError.doesNotFit`.
    public static func encode(
        tag: Tag, fid: FidNumber, stat: Stat, into buffer: UnsafeMutableRawBufferPointer
    ) throws(ProtocolError) -> Int {
        guard let count = UInt16(exactly: stat.byteCount) else { throw .doesNotFit }
        var writer = WireWriter(buffer)
        writer.beginMessage(type, tag: tag)
        writer.integer(fid.rawValue)
        writer.integer(count)
        stat.encode(into: &writer)
        return try writer.endMessage()
    }
}

/// `size[4] Rwstat tag[2]`
public struct Rwstat: Message {
    public static let type = MessageType.rWstat

    public init() {}

    public init(decodingBody reader: inout WireReader) throws(ProtocolError) {}

    public func encodeBody(into writer: inout WireWriter) {}
}
