/// Where a server listens. Source: CLI.md, `--listen`.
public enum ListenAddress: Hashable, Sendable {
    /// A TCP port; port 0 lets the system choose.
    case tcp(host: String, port: Int)
    /// A unix socket at a path.
    case unix(path: String)
    /// One connection over standard input and output.
    case standardIO
    /// A descriptor that somebody opened for us: a listening socket, or a connection.
    case descriptor(Int32)
}

/// Why a text is no address to listen on.
public enum ListenAddressError: Error, Hashable, Sendable {
    case empty
    case missingPort(String)
    case badPort(String)
    case missingHost(String)
    case badHost(String)
    case unclosedBracket(String)
    case emptyPath
    /// The path does not fit a socket address.
    case pathTooLong(String, byteCount: Int, limit: Int)
    case badDescriptor(String)
}

extension ListenAddress: CustomStringConvertible {
    /// The address as `init(_:)` takes it.
    public var description: String {
        switch self {
        case .tcp(let host, let port):
            if host.utf8.contains(UInt8(ascii: ":")) {
                "[\(host)]:\(port)"
            } else if Self.kinds.contains(host) {
                "tcp!\(host)!\(port)"
            } else {
                "\(host):\(port)"
            }
        case .unix(let path): "unix:\(path)"
        case .standardIO: "stdio"
        case .descriptor(let number): "fd:\(number)"
        }
    }
}

extension ListenAddressError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .empty: "the address is empty"
        case .missingPort(let text): "\(text): the port is missing, as in 127.0.0.1:5640"
        case .badPort(let text): "\(text): not a port from 0 to 65535"
        case .missingHost(let text): "\(text): the host is missing"
        case .badHost(let text): "\(text): not a host's name or address"
        case .unclosedBracket(let text): "\(text): ']' is missing"
        case .emptyPath: "the socket's path is empty"
        case .pathTooLong(let path, let byteCount, let limit):
            "\(path): a socket's path has at most \(limit) bytes, this one \(byteCount)"
        case .badDescriptor(let text): "\(text): not a descriptor's number"
        }
    }
}
