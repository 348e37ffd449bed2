import Synchronization
import Testing

@testable import GefsEngine

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

@Suite
struct DeviceFaultTests {
    private func makeDevice() throws -> RecordingDevice {
        try RecordingDevice(image: MemoryImage([UInt8](repeating: 1, count: 64 << 10)))
    }

    private func write(
        _ device: RecordingDevice, _ byte: UInt8, at offset: UInt64, count: Int = 1024
    ) throws(DeviceError) {
        let bytes = [UInt8](repeating: byte, count: count)
        try bytes.withBytes { (raw) throws(DeviceError) in try device.write(at: offset, from: raw) }
    }

    private func read(
        _ device: RecordingDevice, at offset: UInt64, count: Int = 1024
    ) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0xEE, count: count)
        try bytes.withUnsafeMutableBytes { try device.read(at: offset, into: $0) }
        return bytes
    }

    private func filled(_ byte: UInt8, _ count: Int = 1024) -> [UInt8] {
        [UInt8](repeating: byte, count: count)
    }

    @Test func `a fault hits what it describes, as often as it says`() throws {
        let device = try makeDevice()
        device.inject(
            DeviceFault(.write, .fail(errno: ENOSPC), in: 4096..<8192, after: 1, count: 2))
        try write(device, 2, at: 0)
        try write(device, 2, at: 4096)
        for _ in 0..<2 {
            #expect(throws: DeviceError.writeFailed(offset: 4096, byteCount: 1024, errno: ENOSPC)) {
                try write(device, 3, at: 4096)
            }
            try write(device, 3, at: 8192)
        }
        try write(device, 4, at: 8191 - 1023)
        #expect(device.faultHits.map(\.offset) == [4096, 4096])
        #expect(try read(device, at: 4096) == filled(2))
    }

    @Test func `writes that fail halfway or afterwards are there as far as they went`() throws {
        let device = try makeDevice()
        device.inject(DeviceFault(.write, .failHalfway(errno: EIO)))
        #expect(throws: DeviceError.self) { try write(device, 2, at: 0) }
        #expect(try read(device, at: 0) == filled(2, 512) + filled(1, 512))
        device.inject(DeviceFault(.write, .failAfterwards(errno: EIO)))
        #expect(throws: DeviceError.self) { try write(device, 3, at: 0) }
        #expect(try read(device, at: 0) == filled(3))
        #expect(device.eventCount == 2)
    }

    @Test func `lost and misdirected writes are acknowledged`() throws {
        let device = try makeDevice()
        device.inject(DeviceFault(.write, .lose))
        try write(device, 2, at: 0)
        #expect(try read(device, at: 0) == filled(1))
        device.inject(DeviceFault(.write, .misdirect(by: 4096)))
        try write(device, 3, at: 0)
        #expect(try read(device, at: 0) == filled(1))
        #expect(try read(device, at: 4096) == filled(3))
        // One that would leave the device is lost.
        device.inject(DeviceFault(.write, .misdirect(by: -4096)))
        try write(device, 4, at: 0)
        device.inject(DeviceFault(.flush, .lose))
        try device.flush()
        #expect(device.events == [.write(offset: 4096, bytes: filled(3))])
    }

    @Test func `a flush may forget what was written since the last one`() throws {
        let device = try makeDevice()
        try write(device, 2, at: 0)
        try device.flush()
        try write(device, 3, at: 0)
        try write(device, 4, at: 512)
        device.inject(DeviceFault(.flush, .forget(errno: EIO)))
        #expect(throws: DeviceError.flushFailed(errno: EIO)) { try device.flush() }
        #expect(try read(device, at: 0) == filled(2))
        #expect(try read(device, at: 1024) == filled(1))
        #expect(device.eventCount == 2)
    }

    @Test func `reads are short or wrong, once`() throws {
        let device = try makeDevice()
        device.inject(DeviceFault(.read, .garble))
        #expect(try read(device, at: 0) != filled(1))
        #expect(try read(device, at: 0) == filled(1))
        device.inject(DeviceFault(.read, .failHalfway(errno: EIO)))
        var bytes = filled(9)
        #expect(throws: DeviceError.readFailed(offset: 0, byteCount: 1024, errno: EIO)) {
            try bytes.withUnsafeMutableBytes { try device.read(at: 0, into: $0) }
        }
        #expect(bytes == filled(1, 512) + filled(9, 512))
    }

    @Test func `a delay calls what it is told to, and the operation is done`() throws {
        let device = try makeDevice()
        let waited = Mutex<[UInt64]>([])
        device.onDelay { nanoseconds in waited.withLock { $0.append(nanoseconds) } }
        device.inject(DeviceFault(.write, .delay(nanoseconds: 5), count: 2))
        for byte in 2..<5 { try write(device, UInt8(byte), at: 0) }
        #expect(waited.withLock { $0 } == [5, 5])
        #expect(try read(device, at: 0) == filled(4))
    }

    @Test func `a device shrinks, and a host fills up`() throws {
        let device = try RecordingDevice(image: MemoryImage(byteCount: 1 << 20))
        try write(device, 2, at: 0)
        device.shrink(to: 32 << 10)
        #expect(device.byteCount == 1 << 20)
        #expect(throws: DeviceError.self) { try read(device, at: 32 << 10) }
        #expect(throws: DeviceError.writeFailed(offset: 40000, byteCount: 1024, errno: ENOSPC)) {
            try write(device, 2, at: 40000)
        }
        device.repair()
        device.fillUp(after: 16 << 10)
        try write(device, 3, at: 0)
        try write(device, 3, at: 100_000)
        #expect(throws: DeviceError.writeFailed(offset: 200_000, byteCount: 1024, errno: ENOSPC)) {
            try write(device, 3, at: 200_000)
        }
        try write(device, 4, at: 100_000)
    }

    @Test func `equal seeds make equal schedules`() {
        let first = DeviceFault.schedule(
            seed: 7, count: 40, within: 100, deviceBytes: 1 << 27)
        #expect(
            first
                == DeviceFault.schedule(seed: 7, count: 40, within: 100, deviceBytes: 1 << 27))
        #expect(
            first != DeviceFault.schedule(seed: 8, count: 40, within: 100, deviceBytes: 1 << 27))
    }
}
