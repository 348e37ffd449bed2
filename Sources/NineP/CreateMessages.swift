/// `size[4] Tcreate tag[2] fid[4] name[s] perm[4] mode[1]`
public struct Tcreate: Message {
    public static let type = MessageType.tCreate

    public var fid: FidNumber
    public var name: UnsafeRawBufferPointer
    public var permissions: UInt32
    public var mode: UInt8

    public init(fid: FidNumber, name: UnsafeRawBufferPointer, permissions: UInt32, mode: UInt8) {
        self.fid = fid
        self.name = name
        self.permissions = permissions
        self.mode = mode
    }

    public init(decodingBody reader: inout WireReader) throws(ProtocolError) {
        fid = try reader.fid()
        name = try reader.string()
        permissions = try reader.integer(UInt32.self)
        mode = try reader.integer(UInt8.self)
    }

    public func encodeBody(into writer: inout WireWriter) {
        writer.integer(fid.rawValue)
        writer.string(name)
        writer.integer(permissions)
        writer.integer(mode)
    }
}

/// `size[4] Rcreate tag[2] qid[13] iounit[4]`
public struct Rcreate: Message {
    public static let type = MessageType.rCreate

    public var qid: WireQid
    /// Bytes that one read or write moves as a unit.
    public var ioUnit: UInt32

    public init(qid: WireQid, ioUnit: UInt32) {
        self.qid = qid
        self.ioUnit = ioUnit
    }

    public init(decodingBody reader: inout WireReader) throws(ProtocolError) {
        qid = try reader.qid()
        ioUnit = try reader.integer(UInt32.self)
    }

    public func encodeBody(into writer: inout WireWriter) {
        writer.qid(qid)
        writer.integer(ioUnit)
    }
}
