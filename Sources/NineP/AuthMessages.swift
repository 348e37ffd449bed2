/// `size[4] Tauth tag[2] afid[4] uname[s] aname[s]`
public struct Tauth: Message {
    public static let type = MessageType.tAuth

    public var authFid: FidNumber
    public var userName: UnsafeRawBufferPointer
    public var attachName: UnsafeRawBufferPointer

    public init(
        authFid: FidNumber, userName: UnsafeRawBufferPointer, attachName: UnsafeRawBufferPointer
    ) {
        self.authFid = authFid
        self.userName = userName
        self.attachName = attachName
    }

    public init(decodingBody reader: inout WireReader) throws(ProtocolError) {
        authFid = try reader.fid()
        userName = try reader.string()
        attachName = try reader.string()
    }

    public func encodeBody(into writer: inout WireWriter) {
        writer.integer(authFid.rawValue)
        writer.string(userName)
        writer.string(attachName)
    }
}

/// `size[4] Rauth tag[2] aqid[13]`
public struct Rauth: Message {
    public static let type = MessageType.rAuth

    public var qid: WireQid

    public init(qid: WireQid) {
        self.qid = qid
    }

    public init(decodingBody reader: inout WireReader) throws(ProtocolError) {
        qid = try reader.qid()
    }

    public func encodeBody(into writer: inout WireWriter) {
        writer.qid(qid)
    }
}
