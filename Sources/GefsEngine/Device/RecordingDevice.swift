import Synchronization

/// A device that fails on demand and remembers what was written, for crash tests.
///
/// It passes everything on to the device below. From `init` or `startRecording()` on it keeps
/// each write and flush in order, and can say what a crash at any point may have left.
public final class RecordingDevice: BlockDevice {
    /// One recorded operation.
    public enum Event: Sendable, Equatable {
        case write(offset: UInt64, bytes: [UInt8])
        case flush
    }

    /// Bytes that a disk writes wholly or not at all.
    public static let sectorBytes = 512

    struct State {
        var base: MemoryImage
        var events: [Event] = []
        var faults = InjectedFaults()
    }

    private let below: any BlockDevice
    let state: Mutex<State>

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

    /// The device as it is, with all writes done in order.
    public func image() -> MemoryImage {
        let (base, events) = state.withLock { ($0.base, $0.events) }
        return Self.replay(events[...], on: base)
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

extension RecordingDevice {
    public func read(
        at offset: UInt64, into buffers: [UnsafeMutableRawBufferPointer]
    ) throws(DeviceError) {
        let byteCount = buffers.reduce(0) { $0 + $1.count }
        if let errno = state.withLock({ $0.faults.ofRead(at: offset, byteCount: byteCount) }) {
            throw .readFailed(offset: offset, byteCount: byteCount, errno: errno)
        }
        try below.read(at: offset, into: buffers)
    }

    public func write(
        at offset: UInt64, from buffers: [UnsafeRawBufferPointer]
    ) throws(DeviceError) {
        let bytes = buffers.flatMap { Array($0) }
        if let errno = state.withLock({ $0.faults.ofWrite(at: offset, byteCount: bytes.count) }) {
            throw .writeFailed(offset: offset, byteCount: bytes.count, errno: errno)
        }
        try below.write(at: offset, from: buffers)
        state.withLock { $0.events.append(.write(offset: offset, bytes: bytes)) }
    }

    public func flush() throws(DeviceError) {
        if let errno = state.withLock({ $0.faults.ofFlush() }) { throw .flushFailed(errno: errno) }
        try below.flush()
        state.withLock { $0.events.append(.flush) }
    }

    public func close() {
        below.close()
    }
}
