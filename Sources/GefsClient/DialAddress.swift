#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Where a client connects to.
public enum DialAddress: Hashable, Sendable {
    case unix(path: String)
    case tcp(host: String, port: String)

    /// Reads `unix:/path`, `unix!path`, `tcp!host!port`, `host:port` and `[v6]:port`.
    ///
    /// - Throws: `ClientError.badAddress`.
    public init(_ text: String) throws(ClientError) {
        if text.hasPrefix("unix:") || text.hasPrefix("unix!") {
            let path = String(text.dropFirst(5))
            guard !path.isEmpty else { throw .badAddress(text) }
            self = .unix(path: path)
            return
        }
        let isDialString = text.hasPrefix("tcp!")
        let rest = isDialString ? text.dropFirst(4) : text[...]
        guard let mark = rest.lastIndex(of: isDialString ? "!" : ":") else {
            throw .badAddress(text)
        }
        var host = rest[..<mark]
        let port = rest[rest.index(after: mark)...]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        guard !host.isEmpty, !port.isEmpty else { throw .badAddress(text) }
        self = .tcp(host: String(host), port: String(port))
    }

    /// Connects; the descriptor is the caller's.
    ///
    /// - Throws: `ClientError.system`, `.cannotResolve`, `.badAddress`.
    public func connect() throws(ClientError) -> Int32 {
        switch self {
        case .unix(let path): try Self.connect(path: path)
        case .tcp(let host, let port): try Self.connect(host: host, port: port)
        }
    }

    #if os(Linux)
        private static let streamType = Int32(SOCK_STREAM.rawValue)
    #else
        private static let streamType = SOCK_STREAM
    #endif

    private static func connect(path: String) throws(ClientError) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let fits = withUnsafeMutableBytes(of: &address.sun_path) { room in
            guard path.utf8.count < room.count else { return false }
            room.copyBytes(from: path.utf8)
            return true
        }
        guard fits else { throw .system(call: "connect", errno: ENAMETOOLONG) }
        let descriptor = socket(AF_UNIX, streamType, 0)
        guard descriptor >= 0 else { throw .system(call: "socket", errno: errno) }
        let status = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Self.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard status == 0 else {
            let reason = errno
            close(descriptor)
            throw .system(call: "connect", errno: reason)
        }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        return descriptor
    }

    private static func connect(host: String, port: String) throws(ClientError) -> Int32 {
        var hints = addrinfo()
        hints.ai_socktype = streamType
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, port, &hints, &list) == 0 else {
            throw .cannotResolve(host: host)
        }
        defer { freeaddrinfo(list) }
        var lastError: Int32 = ECONNREFUSED
        var next = list
        while let item = next?.pointee {
            next = item.ai_next
            let descriptor = socket(item.ai_family, item.ai_socktype, item.ai_protocol)
            guard descriptor >= 0 else {
                lastError = errno
                continue
            }
            if Self.connect(descriptor, item.ai_addr, item.ai_addrlen) == 0 {
                var one: Int32 = 1
                setsockopt(
                    descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one,
                    socklen_t(MemoryLayout<Int32>.size))
                _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
                return descriptor
            }
            lastError = errno
            close(descriptor)
        }
        throw .system(call: "connect", errno: lastError)
    }

    private static func connect(
        _ descriptor: Int32, _ address: UnsafePointer<sockaddr>, _ byteCount: socklen_t
    ) -> Int32 {
        #if canImport(Glibc)
            Glibc.connect(descriptor, address, byteCount)
        #else
            Darwin.connect(descriptor, address, byteCount)
        #endif
    }
}
