import Synchronization

/// A device that fails on demand and remembers what was written, for crash tests.
///
/// It passes everything on to the device below. From `init` or `startRecording()` on it keeps
/// each write and flush in order; `recording` is what `CrashStates` lists crashes of.
public final class RecordingDevice: BlockDevice {
    /// One recorded operation.
    public enum Event: Sendable, Equatable {
        case write(offset: UInt64, bytes: [UInt8])
        case flush
    }

    struct State {
        var recording: Recording
        var faults = InjectedFaults()
    }

    let below: any BlockDevice
    let state: Mutex<State>
    let delay = Mutex<@Sendable (UInt64) -> Void>({ _ in })

    public var byteCount: UInt64 { below.byteCount }
    public var isReadOnly: Bool { below.isReadOnly }
    public var name: String { below.name }

    /// Wraps `device` and records from now on.
    public init(_ device: any BlockDevice) throws(DeviceError) {
        below = device
        state = Mutex(State(recording: Recording(base: try Self.copy(of: device), events: [])))
    }

    /// Wraps `device` and records from now on, without a copy of what it holds: for large devices.
    ///
    /// The recording's base is all zeros, so its images are of no use. Give a fresh device with the
    /// old content its crash states by `Recording.write(_:to:)`.
    public init(recordingChangesOf device: any BlockDevice) {
        below = device
        let base = MemoryImage(byteCount: device.byteCount)
        state = Mutex(State(recording: Recording(base: base, events: [])))
    }

    /// A recorded device in memory.
    public convenience init(image: MemoryImage) throws(DeviceError) {
        try self.init(MemoryDevice(image))
    }

    /// Forgets the past: what the device holds now counts as durable.
    public func startRecording() throws(DeviceError) {
        let image = try Self.copy(of: below)
        state.withLock { $0.recording = Recording(base: image, events: []) }
    }

    // MARK: What was recorded

    /// What was done since recording began.
    public var recording: Recording { state.withLock { $0.recording } }

    /// All successful writes and flushes since recording began.
    public var events: [Event] { recording.events }

    /// How many events there are.
    public var eventCount: Int { state.withLock { $0.recording.events.count } }

    /// The device as of the last flush: what is certainly there after a crash now.
    public func imageAtLastFlush() -> MemoryImage {
        let recording = recording
        return recording.image(after: recording.intervals.last?.start ?? 0)
    }

    /// The device after the first `count` events, with all writes among them done in order.
    public func image(after count: Int) -> MemoryImage {
        recording.image(after: count)
    }

    /// The device as it is, with all writes done in order.
    public func image() -> MemoryImage {
        let recording = recording
        return recording.image(after: recording.events.count)
    }

    /// One state that a crash after the first `count` events may leave.
    ///
    /// Writes up to the last flush among them are whole. Each later one is, by chance, whole,
    /// lost, cut short, or there in some of its sectors.
    public func crashImage(after count: Int, seed: UInt64) -> MemoryImage {
        var cut = recording
        cut.events.removeSubrange(count...)
        guard let interval = cut.intervals.last else { return cut.base }
        var images = CrashImages(cut)
        return images.image(of: CrashStates(cut, interval, seed: seed).anyMixture).image
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
        let effect = passingDelay(
            state.withLock { $0.faults.effect(on: .read, at: offset, byteCount: byteCount) })
        if let effect {
            return try read(at: offset, into: buffers, byteCount: byteCount, under: effect)
        }
        try below.read(at: offset, into: buffers)
    }

    public func write(
        at offset: UInt64, from buffers: [UnsafeRawBufferPointer]
    ) throws(DeviceError) {
        let bytes = buffers.flatMap { Array($0) }
        let effect = passingDelay(
            state.withLock { $0.faults.effect(on: .write, at: offset, byteCount: bytes.count) })
        if let effect { return try write(bytes, at: offset, under: effect) }
        try record(bytes, at: offset)
    }

    public func flush() throws(DeviceError) {
        let effect = passingDelay(state.withLock { $0.faults.effect(on: .flush) })
        if let effect { return try flush(under: effect) }
        try recordFlush()
    }

    /// Does a write and remembers it.
    func record(_ bytes: [UInt8], at offset: UInt64) throws(DeviceError) {
        guard !bytes.isEmpty else { return }
        try bytes.withBytes { (raw) throws(DeviceError) in try below.write(at: offset, from: raw) }
        state.withLock { $0.recording.events.append(.write(offset: offset, bytes: bytes)) }
    }

    /// Flushes and remembers it.
    func recordFlush() throws(DeviceError) {
        try below.flush()
        state.withLock { $0.recording.events.append(.flush) }
    }

    public func close() {
        below.close()
    }
}
