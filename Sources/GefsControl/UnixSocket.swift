#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Unix sockets by path, blocking, close-on-exec.
public enum UnixSocket {
    /// Bytes that a path may have; the system's structure holds no more.
    public static let pathBytesMax = MemoryLayout.size(ofValue: sockaddr_un().sun_path) - 1

    /// Connects to a listening socket.
    ///
    /// - Throws: the errno.
    public static func connect(to path: String) throws(SocketError) -> Int32 {
        let descriptor = try make()
        let result = try withAddress(path, closing: descriptor) { address, length in
            #if canImport(Glibc)
                Glibc.connect(descriptor, address, length)
            #else
                Darwin.connect(descriptor, address, length)
            #endif
        }
        guard result == 0 else { throw failure(closing: descriptor) }
        return descriptor
    }

    /// Two sockets that are connected to each other.
    ///
    /// - Throws: the errno.
    public static func pair() throws(SocketError) -> (Int32, Int32) {
        var descriptors: [Int32] = [-1, -1]
        #if canImport(Glibc)
            let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        #else
            let type = SOCK_STREAM
        #endif
        guard socketpair(AF_UNIX, type, 0, &descriptors) == 0 else {
            throw SocketError(code: errno)
        }
        return (descriptors[0], descriptors[1])
    }

    private static func make() throws(SocketError) -> Int32 {
        #if canImport(Glibc)
            let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        #else
            let type = SOCK_STREAM
        #endif
        let descriptor = socket(AF_UNIX, type, 0)
        guard descriptor >= 0 else { throw SocketError(code: errno) }
        return descriptor
    }

    private static func failure(closing descriptor: Int32) -> SocketError {
        let failure = SocketError(code: errno)
        close(descriptor)
        return failure
    }

    private static func withAddress(
        _ path: String, closing descriptor: Int32,
        _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) throws(SocketError) -> Int32 {
        let bytes = Array(path.utf8)
        guard bytes.count <= pathBytesMax else {
            close(descriptor)
            throw SocketError(code: ENAMETOOLONG)
        }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}

/// What a socket call failed with.
public struct SocketError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The errno.
    public var code: Int32

    /// Nobody listens there: no such file, or one that a dead server left.
    public var isAbsence: Bool { code == ENOENT || code == ECONNREFUSED }

    public var description: String {
        String(cString: strerror(code))
    }
}
