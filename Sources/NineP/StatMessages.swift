/// `size[4] Tstat tag[2] fid[4]`
public struct Tstat: Message {
    public static let type = MessageType.tStat

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

/// `size[4] Rstat tag[2] n[2] stat[n]`
public struct Rstat: Message {
    public static let type = MessageType.rStat

    public var stat: Stat

    public init(stat: Stat) {
        self.stat = stat
    }

    public init(decodingBody reader: inout WireReader) throws(ProtocolError) {
        stat = try Stat(record: reader.string())
    }

    public func encodeBody(into writer: inout WireWriter) {
        guard let count = UInt16(exactly: stat.byteCount) else {
            return writer.overflow()
        }
        writer.integer(count)
        stat.encode(into: &writer)
    }
}
