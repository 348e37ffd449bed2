import GefsEngine
import Synchronization

/// A device that notes when each write and flush was done.
final class ClockedDevice: BlockDevice {
    private let below: RecordingDevice
    private let started = ContinuousClock.now
    private let times = Mutex<[Int]>([])

    var byteCount: UInt64 { below.byteCount }
    var isReadOnly: Bool { below.isReadOnly }
    var name: String { below.name }

    init(_ below: RecordingDevice) {
        self.below = below
    }

    /// Milliseconds from the start to the event of that number, or to the last one before it.
    func milliseconds(at event: Int) -> Int {
        times.withLock { times in
            times.isEmpty ? 0 : times[min(max(0, event - 1), times.count - 1)]
        }
    }

    private func note() {
        let passed = (ContinuousClock.now - started).components
        let milliseconds =
            Int(passed.seconds) * 1000 + Int(passed.attoseconds / 1_000_000_000_000_000)
        times.withLock { $0.append(milliseconds) }
    }

    func read(
        at offset: UInt64, into buffers: [UnsafeMutableRawBufferPointer]
    ) throws(DeviceError) {
        try below.read(at: offset, into: buffers)
    }

    func write(at offset: UInt64, from buffers: [UnsafeRawBufferPointer]) throws(DeviceError) {
        try below.write(at: offset, from: buffers)
        note()
    }

    func flush() throws(DeviceError) {
        try below.flush()
        note()
    }

    func close() {}
}
