import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A device that fails on demand and remembers what was written, for crash tests.
///
/// It passes everything on to the device below. From `init` or `startRecording()` on it keeps
/// each write and flush in order, and can say what a crash at any point may have left.
public final class FaultDevice: BlockDevice {
    /// One recorded operation.
    public enum Event: Sendable, Equatable {
        case write(offset: UInt64, bytes: [UInt8])
        case flush
    }

    /// Bytes that a disk writes wholly or not at all.
    public static let sectorBytes = 512

    private struct State {
        var base: MemoryImage
        var events: [Event] = []
        var badRanges: [Range<UInt64>] = []
        var operationsUntilPowerCut: Int?
        var writesUntilFailure: Int?
        var flushesUntilFailure: Int?
        var failure = EIO
    }

    private let below: any BlockDevice
    private let state: Mutex<State>

    public var byteCount: UInt64 { below.byteCount }
    public var isReadOnly: Bool { below.isReadOnly }
    public var name: String { below.name }

    /// Wraps `device` and records from now on.
    public init(_ device: any BlockDevice) throws(DeviceError) {
        below = device
        state = Mutex(State(base: try Self.copy(of: device)))
    }

    /// A recorded device in memory.
    public convenience init(image: MemoryImage) throws(DeviceError) {
        try self.init(MemoryDevice(image))
    }

    /// Forgets the past: what the device holds now counts as durable.
    public func startRecording() throws(DeviceError) {
        let image = try Self.copy(of: below)
        state.withLock {
            $0.base = image
            $0.events = []
        }
    }

    // MARK: Faults

    /// Reads and writes that touch `range` fail until `repair()`.
    public func failTransfers(in range: Range<UInt64>) {
        state.withLock { $0.badRanges.append(range) }
    }

    /// The next `count` writes succeed, all later ones fail.
    public func failWrites(after count: Int, errno: Int32 = EIO) {
        state.withLock {
            $0.writesUntilFailure = count
            $0.failure = errno
        }
    }

    /// The next `count` flushes succeed, all later ones fail.
    public func failFlushes(after count: Int, errno: Int32 = EIO) {
        state.withLock {
            $0.flushesUntilFailure = count
            $0.failure = errno
        }
    }

    /// The next `count` writes and flushes succeed, then writes, flushes and reads all fail.
    public func cutPower(after count: Int) {
        state.withLock { $0.operationsUntilPowerCut = count }
    }

    /// Ends all faults.
    public func repair() {
        state.withLock {
            $0.badRanges = []
            $0.operationsUntilPowerCut = nil
            $0.writesUntilFailure = nil
            $0.flushesUntilFailure = nil
        }
    }

    // MARK: What was recorded

    /// All successful writes and flushes since recording began.
    public var events: [Event] { state.withLock { $0.events } }

    /// The device as of the last flush: what is certainly there after a crash now.
    public func imageAtLastFlush() -> MemoryImage {
        let (base, events) = state.withLock { ($0.base, $0.events) }
        return Self.replay(events[..<Self.durableCount(events[...])], on: base)
    }

    /// The device after the first `count` events, with all writes among them done in order.
    public func image(after count: Int) -> MemoryImage {
        let (base, events) = state.withLock { ($0.base, $0.events) }
        return Self.replay(events[..<count], on: base)
    }

    /// One state that a crash after the first `count` events may leave.
    ///
    /// Writes up to the last flush among them are whole. Each later one is, by chance, whole,
    /// lost, cut short, or there in some of its sectors.
    public func crashImage(after count: Int, seed: UInt64) -> MemoryImage {
        let (base, all) = state.withLock { ($0.base, $0.events) }
        let events = all[..<count]
        let durable = Self.durableCount(events)
        var image = Self.replay(events[..<durable], on: base)
        var chance = SeededGenerator(seed: seed)
        for case .write(let offset, let bytes) in events[durable...] {
            Self.tear(bytes, at: offset, into: &image, &chance)
        }
        return image
    }

    /// Events up to and including the last flush.
    private static func durableCount(_ events: ArraySlice<Event>) -> Int {
        (events.lastIndex(of: .flush) ?? -1) + 1
    }

    private static func replay(_ events: ArraySlice<Event>, on base: MemoryImage) -> MemoryImage {
        var image = base
        for case .write(let offset, let bytes) in events {
            bytes.withUnsafeBytes { image.write($0, at: offset) }
        }
        return image
    }

    private static func tear(
        _ bytes: [UInt8], at offset: UInt64, into image: inout MemoryImage,
        _ chance: inout SeededGenerator
    ) {
        let sectors = (bytes.count + sectorBytes - 1) / sectorBytes
        let manner = Int.random(in: 0..<4, using: &chance)
        let cut = Int.random(in: 0...sectors, using: &chance)
        for sector in 0..<sectors {
            let isKept =
                switch manner {
                case 0: true
                case 1: false
                case 2: sector < cut
                default: Bool.random(using: &chance)
                }
            guard isKept else { continue }
            let start = sector * sectorBytes
            let end = min(start + sectorBytes, bytes.count)
            bytes[start..<end].withUnsafeBytes { image.write($0, at: offset + UInt64(start)) }
        }
    }

    private static func copy(of device: any BlockDevice) throws(DeviceError) -> MemoryImage {
        if let memory = device as? MemoryDevice { return memory.image }
        var image = MemoryImage(byteCount: device.byteCount)
        var part = [UInt8](repeating: 0, count: 1 << 20)
        var offset: UInt64 = 0
        while offset < device.byteCount {
            let count = Int(min(UInt64(part.count), device.byteCount - offset))
            let failure = part.withUnsafeMutableBytes { buffer -> DeviceError? in
                let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
                do throws(DeviceError) {
                    try device.read(at: offset, into: piece)
                } catch {
                    return error
                }
                image.write(UnsafeRawBufferPointer(piece), at: offset)
                return nil
            }
            if let failure { throw failure }
            offset += UInt64(count)
        }
        return image
    }
}

// MARK: - BlockDevice

extension FaultDevice {
    public func read(
        at offset: UInt64, into buffers: [UnsafeMutableRawBufferPointer]
    ) throws(DeviceError) {
        let byteCount = buffers.reduce(0) { $0 + $1.count }
        let end = offset.addingReportingOverflow(UInt64(byteCount)).partialValue
        let fails = state.withLock { state in
            state.operationsUntilPowerCut == 0
                || state.badRanges.contains { $0.lowerBound < end && offset < $0.upperBound }
        }
        guard !fails else {
            throw .readFailed(offset: offset, byteCount: byteCount, errno: EIO)
        }
        try below.read(at: offset, into: buffers)
    }

    public func write(
        at offset: UInt64, from buffers: [UnsafeRawBufferPointer]
    ) throws(DeviceError) {
        let bytes = buffers.flatMap { Array($0) }
        let end = offset.addingReportingOverflow(UInt64(bytes.count)).partialValue
        let failure = state.withLock { state -> Int32? in
            if state.badRanges.contains(where: { $0.lowerBound < end && offset < $0.upperBound }) {
                return EIO
            }
            return Self.countDown(&state.writesUntilFailure, state.failure)
                ?? Self.countDown(&state.operationsUntilPowerCut, EIO)
        }
        if let failure {
            throw .writeFailed(offset: offset, byteCount: bytes.count, errno: failure)
        }
        try below.write(at: offset, from: buffers)
        state.withLock { $0.events.append(.write(offset: offset, bytes: bytes)) }
    }

    public func flush() throws(DeviceError) {
        let failure = state.withLock { state -> Int32? in
            Self.countDown(&state.flushesUntilFailure, state.failure)
                ?? Self.countDown(&state.operationsUntilPowerCut, EIO)
        }
        if let failure { throw .flushFailed(errno: failure) }
        try below.flush()
        state.withLock { $0.events.append(.flush) }
    }

    public func close() {
        below.close()
    }

    /// Takes one from what is left; the error once nothing is.
    private static func countDown(_ left: inout Int?, _ failure: Int32) -> Int32? {
        guard let count = left else { return nil }
        guard count > 0 else { return failure }
        left = count - 1
        return nil
    }
}

/// A small reproducible source of chance (SplitMix64).
public struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    /// Equal seeds give equal sequences.
    public init(seed: UInt64) {
        state = seed
    }

    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
