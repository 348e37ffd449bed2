import GefsControl

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// How much memory the block cache may take. Source: CLI.md, `--cache`.
enum CacheLimit {
    private static let defaultBytesMax: UInt64 = 4 << 30
    private static let bytesMin: UInt64 = 8 << 20

    /// A quarter of the machine's memory, at most 4 GiB.
    static var standard: UInt64 { max(bytesMin, min(memoryBytes / 4, defaultBytesMax)) }

    /// Reads a size, or a share of the memory as `25%`; nil for anything else.
    static func parse(_ text: String) -> UInt64? {
        if text.hasSuffix("%") {
            guard let percent = UInt64(text.dropLast()), (1...90).contains(percent) else {
                return nil
            }
            return max(bytesMin, memoryBytes / 100 * percent)
        }
        return HumanSize.parse(text).map { max(bytesMin, $0) }
    }

    private static var memoryBytes: UInt64 {
        let pages = sysconf(Int32(_SC_PHYS_PAGES))
        let pageBytes = sysconf(Int32(_SC_PAGESIZE))
        guard pages > 0, pageBytes > 0 else { return 1 << 30 }
        return UInt64(pages) * UInt64(pageBytes)
    }
}
