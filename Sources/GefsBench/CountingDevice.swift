import GefsEngine
import GefsFormat
import Synchronization

/// What a device was asked to do.
public struct DeviceCounts: Sendable {
    public var reads = 0
    public var readBytes = 0
    public var writes = 0
    public var writtenBytes = 0
    public var flushes = 0

    /// Blocks that the written bytes are.
    public var writtenBlocks: Int { writtenBytes / Geometry.blockBytes }

    /// What came after `earlier`.
    public static func - (later: DeviceCounts, earlier: DeviceCounts) -> DeviceCounts {
        DeviceCounts(
            reads: later.reads - earlier.reads, readBytes: later.readBytes - earlier.readBytes,
            writes: later.writes - earlier.writes,
            writtenBytes: later.writtenBytes - earlier.writtenBytes,
            flushes: later.flushes - earlier.flushes)
    }
}

/// A device that hands all on to another one, and counts it.
public final class CountingDevice: BlockDevice {
    private let inner: any BlockDevice
    private let skipsZeros: Bool
    private let tally = Mutex(DeviceCounts())

    /// - Parameter skipsZeros: blocks of zeros are not written, so that a sparse file can hold more
    ///   than its disk has room for. They count as written. Only right where what they take the
    ///   place of was zeros, too.
    public init(_ inner: any BlockDevice, skipsZeros: Bool = false) {
        self.inner = inner
        self.skipsZeros = skipsZeros
    }

    /// What was asked for so far.
    public var counts: DeviceCounts { tally.withLock { $0 } }

    public var byteCount: UInt64 { inner.byteCount }
    public var isReadOnly: Bool { inner.isReadOnly }
    public var name: String { inner.name }

    public func read(
        at offset: UInt64, into buffers: [UnsafeMutableRawBufferPointer]
    ) throws(DeviceError) {
        noteRead(buffers.reduce(0) { $0 + $1.count })
        try inner.read(at: offset, into: buffers)
    }

    public func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer)
        throws(DeviceError)
    {
        noteRead(buffer.count)
        try inner.read(at: offset, into: buffer)
    }

    public func write(at offset: UInt64, from buffers: [UnsafeRawBufferPointer]) throws(DeviceError)
    {
        noteWrite(buffers.reduce(0) { $0 + $1.count })
        if skipsZeros, buffers.allSatisfy(Self.isZero) { return }
        try inner.write(at: offset, from: buffers)
    }

    public func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(DeviceError) {
        noteWrite(buffer.count)
        if skipsZeros, Self.isZero(buffer) { return }
        try inner.write(at: offset, from: buffer)
    }

    public func startWriteback(at offset: UInt64, byteCount: Int) {
        inner.startWriteback(at: offset, byteCount: byteCount)
    }

    public func dataRange(from offset: UInt64) -> Range<UInt64>? {
        inner.dataRange(from: offset)
    }

    public func flush() throws(DeviceError) {
        tally.withLock { $0.flushes += 1 }
        try inner.flush()
    }

    public func close() {
        inner.close()
    }

    private func noteRead(_ count: Int) {
        tally.withLock {
            $0.reads += 1
            $0.readBytes += count
        }
    }

    private func noteWrite(_ count: Int) {
        tally.withLock {
            $0.writes += 1
            $0.writtenBytes += count
        }
    }

    private static func isZero(_ buffer: UnsafeRawBufferPointer) -> Bool {
        // Looks at the ends first: blocks of a tree fail at once.
        guard let first = buffer.first, first == 0, buffer[buffer.count - 1] == 0 else {
            return false
        }
        var sum: UInt64 = 0
        for offset in stride(from: 0, to: buffer.count & ~7, by: 8) {
            sum |= buffer.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
        }
        return sum == 0
    }
}
