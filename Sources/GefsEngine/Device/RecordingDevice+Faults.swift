#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// What a `RecordingDevice` is to get wrong.
struct InjectedFaults {
    var badRanges: [Range<UInt64>] = []
    var operationsUntilPowerCut: Int?
    var writesUntilFailure: Int?
    var flushesUntilFailure: Int?
    var errno = EIO

    /// The error of a read, or nil if it is to succeed.
    mutating func ofRead(at offset: UInt64, byteCount: Int) -> Int32? {
        operationsUntilPowerCut == 0 || touchesBadRange(offset, byteCount) ? EIO : nil
    }

    /// The error of a write, or nil if it is to succeed; it counts.
    mutating func ofWrite(at offset: UInt64, byteCount: Int) -> Int32? {
        if touchesBadRange(offset, byteCount) { return EIO }
        return Self.countDown(&writesUntilFailure, errno)
            ?? Self.countDown(&operationsUntilPowerCut, EIO)
    }

    /// The error of a flush, or nil if it is to succeed; it counts.
    mutating func ofFlush() -> Int32? {
        Self.countDown(&flushesUntilFailure, errno)
            ?? Self.countDown(&operationsUntilPowerCut, EIO)
    }

    private func touchesBadRange(_ offset: UInt64, _ byteCount: Int) -> Bool {
        let end = offset.addingReportingOverflow(UInt64(byteCount)).partialValue
        return badRanges.contains { $0.lowerBound < end && offset < $0.upperBound }
    }

    /// Takes one from what is left; the error once nothing is.
    private static func countDown(_ left: inout Int?, _ failure: Int32) -> Int32? {
        guard let count = left else { return nil }
        guard count > 0 else { return failure }
        left = count - 1
        return nil
    }
}

extension RecordingDevice {
    /// Reads and writes that touch `range` fail until `repair()`.
    public func failTransfers(in range: Range<UInt64>) {
        state.withLock { $0.faults.badRanges.append(range) }
    }

    /// The next `count` writes succeed, all later ones fail.
    public func failWrites(after count: Int, errno: Int32 = EIO) {
        state.withLock {
            $0.faults.writesUntilFailure = count
            $0.faults.errno = errno
        }
    }

    /// The next `count` flushes succeed, all later ones fail.
    public func failFlushes(after count: Int, errno: Int32 = EIO) {
        state.withLock {
            $0.faults.flushesUntilFailure = count
            $0.faults.errno = errno
        }
    }

    /// The next `count` writes and flushes succeed, then writes, flushes and reads all fail.
    public func cutPower(after count: Int) {
        state.withLock { $0.faults.operationsUntilPowerCut = count }
    }

    /// Ends all faults.
    public func repair() {
        state.withLock { $0.faults = InjectedFaults() }
    }
}
