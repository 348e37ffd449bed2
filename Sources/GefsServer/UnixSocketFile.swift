import CPlatform

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A unix socket that we have made in the file system.
struct UnixSocketFile: Sendable {
    let path: String
    /// Which file it is, so that another one put in its place is left alone.
    private let identity: Identity

    /// A file's number is used again, so the time it was made belongs to it.
    private struct Identity: Equatable {
        let device: dev_t
        let inode: ino_t
        let seconds: Int
        let nanoseconds: Int

        /// Nil where nothing is at the path.
        init?(path: String) {
            var status = stat()
            guard lstat(path, &status) == 0 else { return nil }
            device = status.st_dev
            inode = status.st_ino
            #if canImport(Glibc)
                let time = status.st_mtim
            #else
                let time = status.st_mtimespec
            #endif
            seconds = time.tv_sec
            nanoseconds = time.tv_nsec
        }
    }

    /// Makes a listening socket at the path. One that nobody listens at any more is replaced.
    ///
    /// - Throws: `ServerError.addressInUse`, `.notASocket`, `.cannotListen`, `.system`.
    static func listen(
        path: String, mode: mode_t
    ) throws(ServerError) -> (descriptor: Int32, file: UnixSocketFile) {
        try removeStale(path)
        let descriptor = try makeSocket()
        do throws(ServerError) {
            // Linux gives the file the mode of the socket: it is never open to more than it should.
            fchmod(descriptor, mode)
            guard withAddress(path, { bind(descriptor, $0, $1) }) == 0 else {
                throw .cannotListen(.unix(path: path), reason: errorText())
            }
            guard chmod(path, mode) == 0 else { throw .system(call: "chmod", errno: errno) }
            guard Self.listen(descriptor, backlog: backlog) == 0 else {
                throw .system(call: "listen", errno: errno)
            }
            guard let identity = Identity(path: path) else {
                throw .system(call: "lstat", errno: errno)
            }
            return (descriptor, UnixSocketFile(path: path, identity: identity))
        } catch {
            close(descriptor)
            throw error
        }
    }

    /// Connections that may wait to be accepted; the system may allow fewer.
    static let backlog: Int32 = 1024

    /// Takes the socket's file away, unless it is somebody else's by now.
    func remove() {
        if Identity(path: path) == identity { unlink(path) }
    }

    private static func listen(_ descriptor: Int32, backlog: Int32) -> Int32 {
        #if canImport(Glibc)
            Glibc.listen(descriptor, backlog)
        #else
            Darwin.listen(descriptor, backlog)
        #endif
    }

    /// Removes a socket that nobody answers at.
    private static func removeStale(_ path: String) throws(ServerError) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else { throw .notASocket(path: path) }
        let descriptor = try makeSocket()
        defer { close(descriptor) }
        let isAnswered = withAddress(path) { connect(descriptor, $0, $1) } == 0
        if isAnswered { throw .addressInUse(.unix(path: path)) }
        // Only a refusal proves that nobody listens; what else went wrong binding will say.
        if errno == ECONNREFUSED { unlink(path) }
    }

    private static func makeSocket() throws(ServerError) -> Int32 {
        #if os(Linux)
            let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        #else
            let descriptor = socket(AF_UNIX, SOCK_STREAM, 0)
        #endif
        guard descriptor >= 0 else { throw .system(call: "socket", errno: errno) }
        return descriptor
    }

    private static func withAddress(
        _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let fits = withUnsafeMutableBytes(of: &address.sun_path) { room in
            guard path.utf8.count < room.count else { return false }
            room.copyBytes(from: path.utf8)
            return true
        }
        guard fits else {
            errno = ENAMETOOLONG
            return -1
        }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }

    private static func errorText() -> String {
        String(cString: strerror(errno))
    }
}

/// What can be asked about a socket that somebody else made.
enum SocketDescriptor {
    static func isUnixSocket(_ descriptor: Int32) -> Bool {
        var address = sockaddr()
        var byteCount = socklen_t(MemoryLayout<sockaddr>.size)
        return getsockname(descriptor, &address, &byteCount) == 0
            && address.sa_family == sa_family_t(AF_UNIX)
    }

    /// Whether connections can be accepted from it.
    static func isListening(_ descriptor: Int32) -> Bool {
        var value: Int32 = 0
        var byteCount = socklen_t(MemoryLayout<Int32>.size)
        return getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &value, &byteCount) == 0
            && value != 0
    }

    /// The user at the other end of a unix socket.
    static func peerUserID(_ descriptor: Int32) -> UInt32? {
        guard isUnixSocket(descriptor) else { return nil }
        var userID: UInt32 = 0
        var groupID: UInt32 = 0
        guard cplatform_peer_credentials(descriptor, &userID, &groupID) == 0 else { return nil }
        return userID
    }
}
