/// A message that a server sends, decoded; its strings and data lie in the frame's buffer.
public enum Reply {
    case version(Rversion)
    case auth(Rauth)
    case attach(Rattach)
    case error(Rerror)
    case flush(Rflush)
    case walk(Rwalk)
    case open(Ropen)
    case create(Rcreate)
    case read(Rread)
    case write(Rwrite)
    case clunk(Rclunk)
    case remove(Rremove)
    case stat(Rstat)
    case wstat(Rwstat)

    /// Decodes a frame as a server's message.
    ///
    /// - Throws: `ProtocolError.unknownType`, and whatever is wrong with the body.
    public init(_ frame: Frame) throws(ProtocolError) {
        guard let type = MessageType(rawValue: frame.rawType) else {
            throw .unknownType(frame.rawType)
        }
        switch type {
        case .rVersion: self = .version(try Rversion(body: frame.body))
        case .rAuth: self = .auth(try Rauth(body: frame.body))
        case .rAttach: self = .attach(try Rattach(body: frame.body))
        case .rError: self = .error(try Rerror(body: frame.body))
        case .rFlush: self = .flush(try Rflush(body: frame.body))
        case .rWalk: self = .walk(try Rwalk(body: frame.body))
        case .rOpen: self = .open(try Ropen(body: frame.body))
        case .rCreate: self = .create(try Rcreate(body: frame.body))
        case .rRead: self = .read(try Rread(body: frame.body))
        case .rWrite: self = .write(try Rwrite(body: frame.body))
        case .rClunk: self = .clunk(try Rclunk(body: frame.body))
        case .rRemove: self = .remove(try Rremove(body: frame.body))
        case .rStat: self = .stat(try Rstat(body: frame.body))
        case .rWstat: self = .wstat(try Rwstat(body: frame.body))
        case .tVersion, .tAuth, .tAttach, .tFlush, .tWalk, .tOpen, .tCreate, .tRead, .tWrite,
            .tClunk, .tRemove, .tStat, .tWstat:
            throw .unknownType(frame.rawType)
        }
    }
}
