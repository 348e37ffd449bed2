#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Files of the host that benchmarks leave and take away.
public enum HostFile {
    /// Removes a file.
    public static func remove(_ path: String) throws {
        guard unlink(path) == 0 else { throw ThreadFailure(text: "\(path): errno \(errno)") }
    }
}
