#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// What a piece of work takes: time, and time of processors that this process used meanwhile.
public struct Stopwatch: Sendable {
    private let start: Double
    private let processorStart: Double

    /// Starts.
    public init() {
        start = Self.read(CLOCK_MONOTONIC)
        processorStart = Self.read(CLOCK_PROCESS_CPUTIME_ID)
    }

    /// Seconds since the start.
    public var seconds: Double { Self.read(CLOCK_MONOTONIC) - start }

    /// Seconds of processors since the start, those of all threads together.
    public var processorSeconds: Double { Self.read(CLOCK_PROCESS_CPUTIME_ID) - processorStart }

    private static func read(_ clock: clockid_t) -> Double {
        var time = timespec()
        clock_gettime(clock, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}

/// Memory of this process, from `/proc/self/status`; 0 where there is none.
public enum ProcessMemory {
    /// Bytes that are resident.
    public static var residentBytes: Int {
        guard let file = fopen("/proc/self/statm", "r") else { return 0 }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 256)
        let count = fread(&bytes, 1, bytes.count, file)
        let fields = String(decoding: bytes[..<count], as: UTF8.self).split(separator: " ")
        guard fields.count > 1, let pages = Int(fields[1]) else { return 0 }
        return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
    }
}

/// A generator of numbers that is the same in each run, and costs next to nothing.
public struct BenchRandom: Sendable {
    private var state: UInt64

    /// Begins at `seed`, which may be anything.
    public init(_ seed: UInt64) {
        state = seed &* 0x9e37_79b9_7f4a_7c15 | 1
    }

    /// A number from 0 up to, not including, `end`.
    public mutating func below(_ end: Int) -> Int {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return Int(truncatingIfNeeded: state.multipliedFullWidth(by: UInt64(end)).high)
    }
}
