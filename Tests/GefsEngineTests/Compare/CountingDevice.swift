import Synchronization

@testable import GefsEngine

/// A device in memory that counts the blocks that are read from it.
final class CountingDevice: BlockDevice {
    private let below: MemoryDevice
    private let bytesRead = Atomic<Int>(0)

    init(_ image: MemoryImage) {
        below = MemoryDevice(image)
    }

    var byteCount: UInt64 { below.byteCount }
    var isReadOnly: Bool { below.isReadOnly }
    var name: String { below.name }
    var image: MemoryImage { below.image }

    /// Blocks read so far.
    var blocksRead: Int { bytesRead.load(ordering: .relaxed) / 16384 }

    func read(
        at offset: UInt64, into buffers: [UnsafeMutableRawBufferPointer]
    ) throws(DeviceError) {
        bytesRead.wrappingAdd(buffers.reduce(0) { $0 + $1.count }, ordering: .relaxed)
        try below.read(at: offset, into: buffers)
    }

    func write(at offset: UInt64, from buffers: [UnsafeRawBufferPointer]) throws(DeviceError) {
        try below.write(at: offset, from: buffers)
    }

    func flush() throws(DeviceError) {
        try below.flush()
    }

    func close() {
        below.close()
    }
}
