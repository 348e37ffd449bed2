/// `size[4] Tattach tag[2] fid[4] afid[4] uname[s] aname[s]`
public struct Tattach: Message {
    public static let type = MessageType.tAttach

    public var fid: FidNumber
    public var authFid: FidNumber
    public var userName: UnsafeRawBufferPointer
    public var attachName: UnsafeRawBufferPointer

    public init(
        fid: FidNumber, authFid: FidNumber = .none, userName: UnsafeRawBufferPointer,
        attachName: UnsafeRawBufferPointer
    ) {
        self.fid = fid
        self.authFid = authFid
        self.userName = userName
        self.attachName = attachName
    }

    public init(decodingBody reader: inout WireReader) throws(ProtocolError) {
        fid = try reader.fid()
        authFid = try reader.fid()
        userName = try reader.string()
        attachName = try reader.string()
    }

    public func encodeBody(into writer: inout WireWriter) {
        writer.integer(fid.rawValue)
        writer.integer(authFid.rawValue)
        writer.string(userName)
        writer.string(attachName)
    }
}

/// `size[4] Rattach tag[2] qid[13]`
public struct Rattach: Message {
    public static let type = MessageType.rAttach

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
