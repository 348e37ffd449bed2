#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Whom a listener lets attach as whom. Source: CLI.md.
public enum AuthenticationPolicy: Hashable, Sendable {
    /// Anyone attaches as anyone; permissions still apply.
    case none
    /// The kernel says who is at the other end of a unix socket: uid 0 and the server's own may
    /// attach as any user, any other uid only as the user named like its passwd name, or as none.
    case peer
}

/// Who is at the other end of a connection, as far as the kernel says.
struct Peer: Sendable {
    /// Nil where nobody vouches for it.
    var userID: UInt32?

    /// Whether it may attach as anybody: root, or the one the server runs as.
    var isTrusted: Bool {
        guard let userID else { return false }
        return userID == 0 || userID == geteuid()
    }

    /// The name that the system's user database has for the peer. May wait for a network.
    func passwdName() -> [UInt8]? {
        guard let userID else { return nil }
        var entry = passwd()
        var result: UnsafeMutablePointer<passwd>?
        var byteCount = 1024
        while byteCount <= 1 << 20 {
            var strings = [CChar](repeating: 0, count: byteCount)
            let status = getpwuid_r(userID, &entry, &strings, byteCount, &result)
            if status == ERANGE {
                byteCount *= 2
                continue
            }
            guard status == 0, result != nil, let name = entry.pw_name else { return nil }
            return withExtendedLifetime(strings) {
                Array(UnsafeRawBufferPointer(start: name, count: strlen(name)))
            }
        }
        return nil
    }
}
