import GefsControl

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// What a service manager such as systemd wants to hear. Source: sd_notify(3).
enum ServiceManager {
    /// Sends a state, as `READY=1`, where somebody listens. Best effort, as sd_notify is.
    static func notify(_ state: String) {
        guard let path = Environment["NOTIFY_SOCKET"], path.hasPrefix("/") || path.hasPrefix("@")
        else { return }
        var bytes = Array(path.utf8)
        // An abstract name, which has a NUL where the text has its first character.
        if bytes[0] == UInt8(ascii: "@") { bytes[0] = 0 }
        var address = sockaddr_un()
        let pathOffset = MemoryLayout<sockaddr_un>.offset(of: \.sun_path) ?? 2
        guard bytes.count <= MemoryLayout.size(ofValue: address.sun_path) else { return }
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        #if canImport(Glibc)
            let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        #else
            let descriptor = socket(AF_UNIX, SOCK_DGRAM, 0)
        #endif
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        let message = Array(state.utf8)
        withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                _ = sendto(
                    descriptor, message, message.count, 0, generic,
                    socklen_t(pathOffset + bytes.count))
            }
        }
    }
}
