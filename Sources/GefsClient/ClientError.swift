import NineP

/// Why something asked of a server did not happen.
public enum ClientError: Error, Hashable, Sendable {
    /// The server answered with this text.
    case server(String)
    /// A walk ended early: so many of its elements exist.
    case notFound(elementsFound: Int)
    /// The server closed the connection, or this side did.
    case connectionClosed
    /// A system call failed.
    case system(call: String, errno: Int32)
    /// The server's bytes are no message.
    case malformed(ProtocolError)
    /// A reply of another kind than the request's.
    case unexpectedReply(type: UInt8)
    /// The server does not speak 9P2000.
    case versionRefused(String)
    /// The text is no address to dial.
    case badAddress(String)
    /// No address of that host answers.
    case cannotResolve(host: String)
    /// The fid has been clunked.
    case fileClosed
    /// A name or record does not fit into a message.
    case tooLarge
}

extension ClientError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .server(let text): text
        case .notFound: "directory entry not found"
        case .connectionClosed: "the connection is closed"
        case .system(let call, let errno): "\(call): error \(errno)"
        case .malformed(let error): "the server's message is malformed: \(error)"
        case .unexpectedReply(let type): "unexpected reply of type \(type)"
        case .versionRefused(let version): "the server answers version '\(version)', not 9P2000"
        case .badAddress(let text): "\(text): not an address"
        case .cannotResolve(let host): "\(host): no such host"
        case .fileClosed: "the file is closed"
        case .tooLarge: "name or record too long for a message"
        }
    }
}
