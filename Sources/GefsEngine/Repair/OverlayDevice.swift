import GefsFormat
import Synchronization

/// A device as it would be after some writes, which stay in memory.
///
/// What a repair intends is checked on it before anything is written.
final class OverlayDevice: BlockDevice {
    private let below: any BlockDevice
    private let blocks = Mutex<[UInt64: BlockBuffer]>([:])

    var byteCount: UInt64 { below.byteCount }
    var isReadOnly: Bool { true }
    var name: String { below.name }

    init(_ device: any BlockDevice) {
        below = device
    }

    /// Lays whole blocks over the device.
    func apply(_ writes: [StoreWrite]) {
        blocks.withLock { blocks in
            for write in writes { blocks[write.offset] = write.buffer }
        }
    }

    func read(
        at offset: UInt64, into buffers: [UnsafeMutableRawBufferPointer]
    ) throws(DeviceError) {
        var position = offset
        for buffer in buffers {
            try read(at: position, piece: buffer)
            position += UInt64(buffer.count)
        }
    }

    private func read(
        at offset: UInt64, piece: UnsafeMutableRawBufferPointer
    ) throws(DeviceError) {
        let blockBytes = Geometry.blockBytes
        var done = 0
        while done < piece.count {
            let position = offset + UInt64(done)
            let start = position - position % UInt64(blockBytes)
            let skipped = Int(position - start)
            let count = min(piece.count - done, blockBytes - skipped)
            let part = UnsafeMutableRawBufferPointer(rebasing: piece[done..<done + count])
            if let buffer = blocks.withLock({ $0[start] }) {
                part.copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: buffer.bytes[skipped..<skipped + count]))
            } else {
                try below.read(at: position, into: part)
            }
            done += count
        }
    }

    func write(at offset: UInt64, from buffers: [UnsafeRawBufferPointer]) throws(DeviceError) {
        throw .readOnly
    }

    func flush() throws(DeviceError) { throw .readOnly }

    func close() {}
}
