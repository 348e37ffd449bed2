/// A message that a client sends, decoded; its strings and data lie in the frame's buffer.
public enum Request {
    case version(Tversion)
    case auth(Tauth)
    case attach(Tattach)
    case flush(Tflush)
    case walk(Twalk)
    case open(Topen)
    case create(Tcreate)
    case read(Tread)
    case write(Twrite)
    case clunk(Tclunk)
    case remove(Tremove)
    case stat(Tstat)
    case wstat(Twstat)

    /// Decodes a frame as a client's message.
    ///
    /// - Throws: `ProtocolError.unknownType`, and whatever is wrong with the body.
    public init(_ frame: Frame) throws(ProtocolError) {
        guard let type = MessageType(rawValue: frame.rawType) else {
            throw .unknownType(frame.rawType)
        }
        switch type {
        case .tVersion: self = .version(try Tversion(body: frame.body))
        case .tAuth: self = .auth(try Tauth(body: frame.body))
        case .tAttach: self = .attach(try Tattach(body: frame.body))
        case .tFlush: self = .flush(try Tflush(body: frame.body))
        case .tWalk: self = .walk(try Twalk(body: frame.body))
        case .tOpen: self = .open(try Topen(body: frame.body))
        case .tCreate: self = .create(try Tcreate(body: frame.body))
        case .tRead: self = .read(try Tread(body: frame.body))
        case .tWrite: self = .write(try Twrite(body: frame.body))
        case .tClunk: self = .clunk(try Tclunk(body: frame.body))
        case .tRemove: self = .remove(try Tremove(body: frame.body))
        case .tStat: self = .stat(try Tstat(body: frame.body))
        case .tWstat: self = .wstat(try Twstat(body: frame.body))
        case .rVersion, .rAuth, .rAttach, .rError, .rFlush, .rWalk, .rOpen, .rCreate, .rRead,
            .rWrite, .rClunk, .rRemove, .rStat, .rWstat:
            throw .unknownType(frame.rawType)
        }
    }
}
