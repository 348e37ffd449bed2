import GefsFormat

/// Reads the blocks of a log, ahead in ever longer runs while the chain is contiguous.
///
/// A compressed log mostly is, so that opening a large volume takes few device reads.
struct LogReader: ~Copyable {
    private static let windowBlocksMax = 64

    private let device: any BlockDevice
    private let memory: UnsafeMutableRawBufferPointer
    private var windowStart: UInt64 = 0
    private var windowBlocks = 0
    private var nextBlocks = 1

    init(_ device: any BlockDevice) {
        self.device = device
        memory = .allocate(
            byteCount: Self.windowBlocksMax * Geometry.blockBytes,
            alignment: BlockBufferPool.alignment)
    }

    deinit {
        memory.deallocate()
    }

    /// The block at `address`; valid until the next call.
    ///
    /// - Parameter end: nothing is read at or behind this address.
    mutating func read(
        _ address: BlockAddress, before end: UInt64
    ) throws(DeviceError) -> UnsafeRawBufferPointer {
        let blockBytes = UInt64(Geometry.blockBytes)
        let windowEnd = windowStart + UInt64(windowBlocks) * blockBytes
        if address.rawValue < windowStart || address.rawValue >= windowEnd || windowBlocks == 0 {
            nextBlocks =
                address.rawValue == windowEnd ? min(nextBlocks * 2, Self.windowBlocksMax) : 1
            let left = end > address.rawValue ? (end - address.rawValue) / blockBytes : 1
            let count = max(1, min(nextBlocks, Int(clamping: left)))
            windowBlocks = 0
            try device.read(
                at: address.rawValue,
                into: UnsafeMutableRawBufferPointer(
                    rebasing: memory[..<(count * Geometry.blockBytes)]))
            windowStart = address.rawValue
            windowBlocks = count
        }
        let offset = Int(address.rawValue - windowStart)
        return UnsafeRawBufferPointer(rebasing: memory[offset..<offset + Geometry.blockBytes])
    }
}
