import Synchronization

/// A device whose changes stay in memory: below lies another one, often a large file, which is only
/// read.
///
/// Wrapped in a `RecordingDevice` it records what is done to a copy of a disk without copying it.
/// To look at a crash state of that recording, take a fresh overlay of the same device and
/// `Recording.write(_:to:)` it. Memory: what was written.
public final class OverlayDevice: BlockDevice {
    private static let pageBytes = MemoryImage.pageBytes

    private let below: any BlockDevice
    private let pages: Mutex<[Int: [UInt8]]>

    public let byteCount: UInt64
    public var name: String { below.name }
    public var isReadOnly: Bool { false }

    /// A device that holds what `below` holds. Nobody may change that meanwhile.
    public init(over below: any BlockDevice) {
        self.below = below
        byteCount = below.byteCount
        pages = Mutex([:])
    }

    /// Another device with the same content; each has its own changes from now on.
    public init(copying other: OverlayDevice) {
        below = other.below
        byteCount = other.byteCount
        pages = Mutex(other.pages.withLock { $0 })
    }

    public func read(
        at offset: UInt64, into buffers: [UnsafeMutableRawBufferPointer]
    ) throws(DeviceError) {
        try checkRange(offset: offset, byteCount: buffers.reduce(0) { $0 + $1.count })
        let pages = pages.withLock { $0 }
        guard !pages.isEmpty else { return try below.read(at: offset, into: buffers) }
        var position = offset
        for buffer in buffers {
            var done = 0
            while done < buffer.count {
                let start = Int(position % UInt64(Self.pageBytes))
                let count = min(buffer.count - done, Self.pageBytes - start)
                let part = UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + count])
                if let content = pages[Int(position / UInt64(Self.pageBytes))] {
                    content.withUnsafeBytes { bytes in
                        part.copyMemory(
                            from: UnsafeRawBufferPointer(rebasing: bytes[start..<start + count]))
                    }
                } else {
                    // What was written over is not asked for: it may be unreadable below.
                    try below.read(at: position, into: part)
                }
                done += count
                position += UInt64(count)
            }
        }
    }

    public func write(
        at offset: UInt64, from buffers: [UnsafeRawBufferPointer]
    ) throws(DeviceError) {
        try checkRange(offset: offset, byteCount: buffers.reduce(0) { $0 + $1.count })
        var position = offset
        for buffer in buffers {
            try write(at: position, part: buffer)
            position += UInt64(buffer.count)
        }
    }

    private func write(at offset: UInt64, part: UnsafeRawBufferPointer) throws(DeviceError) {
        var done = 0
        while done < part.count {
            let position = offset + UInt64(done)
            let start = Int(position % UInt64(Self.pageBytes))
            let count = min(part.count - done, Self.pageBytes - start)
            let page = Int(position / UInt64(Self.pageBytes))
            let isWhole = count == Self.pageBytes
            // Outside of the lock: it may read the device below.
            let known = pages.withLock { $0[page] != nil }
            let fresh =
                known || isWhole
                ? [UInt8](repeating: 0, count: known ? 0 : Self.pageBytes) : try original(page)
            pages.withLock { pages in
                pages[page, default: fresh].withUnsafeMutableBytes { bytes in
                    UnsafeMutableRawBufferPointer(rebasing: bytes[start..<start + count])
                        .copyMemory(
                            from: UnsafeRawBufferPointer(rebasing: part[done..<done + count]))
                }
            }
            done += count
        }
    }

    /// A page as the device below has it; zeros behind its end.
    private func original(_ page: Int) throws(DeviceError) -> [UInt8] {
        var content = [UInt8](repeating: 0, count: Self.pageBytes)
        let offset = UInt64(page) * UInt64(Self.pageBytes)
        let count = Int(min(UInt64(Self.pageBytes), byteCount - offset))
        let failure = content.withUnsafeMutableBytes { bytes -> DeviceError? in
            do throws(DeviceError) {
                try below.read(
                    at: offset, into: UnsafeMutableRawBufferPointer(rebasing: bytes[..<count]))
                return nil
            } catch {
                return error
            }
        }
        if let failure { throw failure }
        return content
    }

    /// Nothing to do: what is in memory is as durable as it gets.
    public func flush() throws(DeviceError) {}

    /// The device below stays open.
    public func close() {}
}
