#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Sockets that the service manager opened for us. Source: sd_listen_fds(3).
public enum PassedDescriptors {
    /// Descriptors are passed from this number on.
    private static let first: Int32 = 3
    private static let countMax: Int32 = 256

    /// The addresses of the descriptors that LISTEN_FDS and LISTEN_PID announce to this process;
    /// none where they are for another one. The variables are taken out of the environment.
    public static func fromEnvironment() -> [ListenAddress] {
        defer {
            for name in ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"] { unsetenv(name) }
        }
        guard let process = getenv("LISTEN_PID").map({ String(cString: $0) }),
            let count = getenv("LISTEN_FDS").map({ String(cString: $0) })
        else { return [] }
        let addresses = parse(count: count, process: process, ownProcess: getpid())
        for case .descriptor(let number) in addresses {
            _ = fcntl(number, F_SETFD, FD_CLOEXEC)
        }
        return addresses
    }

    static func parse(count: String, process: String, ownProcess: Int32) -> [ListenAddress] {
        guard Int32(process) == ownProcess, let count = Int32(count),
            (1...countMax).contains(count)
        else { return [] }
        return (first..<first + count).map { .descriptor($0) }
    }
}
