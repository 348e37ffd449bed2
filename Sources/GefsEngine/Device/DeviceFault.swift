#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// One thing that a `RecordingDevice` gets wrong: which operations, when, and what becomes of them.
public struct DeviceFault: Sendable, Hashable {
    /// What a fault can hit.
    public enum Operation: Sendable, Hashable, CaseIterable {
        case read
        case write
        case flush
    }

    /// What becomes of an operation that is hit.
    public enum Effect: Sendable, Hashable {
        /// It fails, and nothing of it happens.
        case fail(errno: Int32)
        /// A transfer does the first half of its bytes, in whole sectors, and then fails. Of a read
        /// the rest of the buffers stays as it was: a short read.
        case failHalfway(errno: Int32)
        /// It is done wholly, and reported as failed.
        case failAfterwards(errno: Int32)
        /// A flush fails, and every write since the last one is gone: what systems do that drop
        /// the pages which they could not write.
        case forget(errno: Int32)
        /// A read succeeds with one bit wrong in each sector; what lies on the device is right.
        case garble
        /// A write is acknowledged, and lands so many bytes further on.
        case misdirect(by: Int64)
        /// A write or a flush is acknowledged, and nothing happens.
        case lose
        /// It takes so long, as `RecordingDevice.onDelay(_:)` has it, and is done.
        case delay(nanoseconds: UInt64)
    }

    public var operation: Operation
    public var effect: Effect
    /// Bytes of the device that a transfer has to touch to be hit; nil: any. Flushes have no place.
    public var range: Range<UInt64>?
    /// How many operations that fit go well before the first one is hit.
    public var after: Int
    /// How many are hit; nil: all from then on.
    public var count: Int?

    public init(
        _ operation: Operation, _ effect: Effect, in range: Range<UInt64>? = nil, after: Int = 0,
        count: Int? = 1
    ) {
        self.operation = operation
        self.effect = effect
        self.range = range
        self.after = after
        self.count = count
    }

    /// Whether an operation fits the description, whenever it comes.
    func fits(_ operation: Operation, at offset: UInt64, byteCount: Int) -> Bool {
        guard operation == self.operation else { return false }
        guard operation != .flush, let range else { return true }
        let (end, overflow) = offset.addingReportingOverflow(UInt64(byteCount))
        return range.lowerBound < (overflow ? .max : end) && offset < range.upperBound
    }
}

extension DeviceFault {
    /// Kinds of faults, for schedules.
    public enum Kind: Sendable, Hashable, CaseIterable {
        case readError
        case shortRead
        case writeError
        case tornWriteError
        case writeErrorAfterwards
        case flushError
        case forgettingFlush
        case wrongData
        case misdirectedWrite
        case lostWrite
        case delay

        /// Kinds that a device reports by an error.
        public static let reported: [Kind] = [
            .readError, .shortRead, .writeError, .tornWriteError, .writeErrorAfterwards,
            .flushError, .forgettingFlush,
        ]
        /// Kinds that it does not know of itself.
        public static let silent: [Kind] = [.wrongData, .misdirectedWrite, .lostWrite]
    }

    /// A fault of a kind, by chance.
    ///
    /// - Parameters:
    ///   - operations: how many operations may go well before it.
    ///   - deviceBytes: how long the device is; some misdirected writes leave it.
    public static func random(
        _ kind: Kind, within operations: Int, deviceBytes: UInt64,
        using generator: inout some RandomNumberGenerator
    ) -> DeviceFault {
        let errno = [EIO, ENOSPC, ENXIO].randomElement(using: &generator) ?? EIO
        var fault =
            switch kind {
            case .readError: DeviceFault(.read, .fail(errno: EIO))
            case .shortRead: DeviceFault(.read, .failHalfway(errno: EIO))
            case .writeError: DeviceFault(.write, .fail(errno: errno))
            case .tornWriteError: DeviceFault(.write, .failHalfway(errno: errno))
            case .writeErrorAfterwards: DeviceFault(.write, .failAfterwards(errno: errno))
            case .flushError: DeviceFault(.flush, .fail(errno: errno))
            case .forgettingFlush: DeviceFault(.flush, .forget(errno: errno))
            case .wrongData: DeviceFault(.read, .garble)
            case .misdirectedWrite:
                DeviceFault(
                    .write,
                    .misdirect(
                        by: Int64.random(in: -64...64, using: &generator) * 16384
                            + (Bool.random(using: &generator) ? 512 : 0)))
            case .lostWrite: DeviceFault(.write, .lose)
            case .delay: DeviceFault(.write, .delay(nanoseconds: 1_000_000))
            }
        fault.after = Int.random(in: 0...operations, using: &generator)
        switch Int.random(in: 0..<4, using: &generator) {
        case 0: fault.count = nil
        case 1: fault.count = Int.random(in: 1...4, using: &generator)
        default: fault.count = 1
        }
        if fault.operation != .flush, Int.random(in: 0..<4, using: &generator) == 0 {
            let start = UInt64.random(in: 0..<max(1, deviceBytes), using: &generator)
            fault.range = start..<min(deviceBytes, start + deviceBytes / 8)
            fault.after = 0
        }
        return fault
    }

    /// Faults by chance: equal seeds give equal schedules.
    public static func schedule(
        seed: UInt64, of kinds: [Kind] = Kind.allCases, count: Int, within operations: Int,
        deviceBytes: UInt64
    ) -> [DeviceFault] {
        var generator = SeededGenerator(seed: seed)
        return (0..<count).compactMap { _ in
            kinds.randomElement(using: &generator).map {
                random($0, within: operations, deviceBytes: deviceBytes, using: &generator)
            }
        }
    }
}
