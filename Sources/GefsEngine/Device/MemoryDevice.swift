import Synchronization

/// A device in memory, for tests and for tools that work on a copy.
public final class MemoryDevice: BlockDevice {
    public let name: String
    public let isReadOnly: Bool
    private let content: Mutex<MemoryImage>

    /// A device that starts as `image`.
    public init(_ image: MemoryImage, name: String = "memory", isReadOnly: Bool = false) {
        self.name = name
        self.isReadOnly = isReadOnly
        content = Mutex(image)
    }

    /// A device of `byteCount` zeros.
    public convenience init(byteCount: UInt64, name: String = "memory") {
        self.init(MemoryImage(byteCount: byteCount), name: name)
    }

    public var byteCount: UInt64 { content.withLock { $0.byteCount } }

    /// What the device holds now.
    public var image: MemoryImage { content.withLock { $0 } }

    /// Makes the device longer; the new bytes are zeros.
    public func extend(to byteCount: UInt64) {
        content.withLock { $0.resize(to: max($0.byteCount, byteCount)) }
    }

    public func read(
        at offset: UInt64, into buffers: [UnsafeMutableRawBufferPointer]
    ) throws(DeviceError) {
        try checkRange(offset: offset, byteCount: buffers.reduce(0) { $0 + $1.count })
        content.withLock { image in
            var position = offset
            for buffer in buffers {
                image.read(at: position, into: buffer)
                position += UInt64(buffer.count)
            }
        }
    }

    public func write(
        at offset: UInt64, from buffers: [UnsafeRawBufferPointer]
    ) throws(DeviceError) {
        guard !isReadOnly else { throw .readOnly }
        try checkRange(offset: offset, byteCount: buffers.reduce(0) { $0 + $1.count })
        content.withLock { image in
            var position = offset
            for buffer in buffers {
                image.write(buffer, at: position)
                position += UInt64(buffer.count)
            }
        }
    }

    public func flush() throws(DeviceError) {
        guard !isReadOnly else { throw .readOnly }
    }

    public func close() {}
}
