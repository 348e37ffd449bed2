/// The mode byte of Topen and Tcreate. Source: open(5).
public enum OpenFlags {
    public static let accessMask: UInt8 = 0x0f
    public static let read: UInt8 = 0
    public static let write: UInt8 = 1
    public static let readWrite: UInt8 = 2
    public static let execute: UInt8 = 3
    public static let truncate: UInt8 = 0x10
    /// Close on exec: the client's own business.
    public static let closeOnExec: UInt8 = 0x20
    public static let removeOnClose: UInt8 = 0x40
}

/// `size[4] Topen tag[2] fid[4] mode[1]`
public struct Topen: Message {
    public static let type = MessageType.tOpen

    public var fid: FidNumber
    public var mode: UInt8

    public init(fid: FidNumber, mode: UInt8) {
        self.fid = fid
        self.mode = mode
    }

    public init(decodingBody reader: inout WireReader) throws(ProtocolError) {
        fid = try reader.fid()
        mode = try reader.integer(UInt8.self)
    }

    public func encodeBody(into writer: inout WireWriter) {
        writer.integer(fid.rawValue)
        writer.integer(mode)
    }
}

/// `size[4] Ropen tag[2] qid[13] iounit[4]`
public struct Ropen: Message {
    public static let type = MessageType.rOpen

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
