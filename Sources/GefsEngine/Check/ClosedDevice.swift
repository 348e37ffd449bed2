import GefsFormat

/// A device that nobody has open for writing, loaded tolerantly: what is wrong is reported, and
/// whatever can still be used is used.
///
/// Source: FORMAT 3, 4, 5.
final class ClosedDevice: CheckSource {
    let device: any BlockDevice
    let deviceBytes: UInt64
    let superblock: Superblock
    let arenas: [CheckedArena]
    private let free: BlockBits

    /// More than this the books of the checker are not made for: 4 PiB.
    static let deviceBytesMax: UInt64 = 1 << 52
    /// Less than this holds no volume.
    static let deviceBytesMin = 4 * UInt64(Geometry.blockBytes)

    var isRunning: Bool { false }

    /// Loads a device.
    ///
    /// - Returns: `nil` when there is nothing to go by; the log says why.
    init?(_ device: any BlockDevice, log: FindingLog) {
        let blockBytes = UInt64(Geometry.blockBytes)
        self.device = device
        deviceBytes = device.byteCount - device.byteCount % blockBytes
        guard deviceBytes >= Self.deviceBytesMin else {
            log.add(.volume(.tooShort(byteCount: device.byteCount)))
            return nil
        }
        guard deviceBytes <= Self.deviceBytesMax else {
            log.add(.volume(.tooLong(byteCount: device.byteCount)))
            return nil
        }
        let reader = SingleBlockReader(device)
        let primary = Self.readSuperblock(.primary, at: 0, reader, log)
        let backup = Self.readSuperblock(.backup, at: deviceBytes - blockBytes, reader, log)
        guard let first = primary ?? backup else {
            log.add(.volume(.noSuperblock))
            return nil
        }
        if let primary, let backup, primary != backup {
            log.add(
                .volume(
                    .superblocksDiffer(
                        primary: primary.commitGeneration, backup: backup.commitGeneration)))
        }
        let loader = ArenaLoader(reader: reader, deviceBytes: deviceBytes, log: log)
        // A crash can leave a primary superblock whose arenas are not: the backup then counts
        // (FORMAT 9.4).
        if let backup, backup != first, !loader.hasHeaders(first), loader.hasHeaders(backup) {
            superblock = backup
            _ = loader.load(first, findingsOnly: true)
        } else {
            superblock = first
        }
        arenas = loader.load(superblock, findingsOnly: false)
        free = loader.free
    }

    private static func readSuperblock(
        _ copy: VolumeFault.Copy, at offset: UInt64, _ reader: SingleBlockReader, _ log: FindingLog
    ) -> Superblock? {
        let address = BlockAddress(rawValue: offset)
        do throws(DeviceError) {
            let block = try reader.read(address)
            do throws(CorruptBlock) {
                return try Superblock(decoding: block, at: address)
            } catch {
                log.add(.volume(.superblockUnusable(copy, error)))
            }
        } catch {
            log.add(.volume(.superblockUnreadable(copy, address, error)))
        }
        return nil
    }

    func forEachFreeRange(of arena: CheckedArena, _ body: (Range<UInt64>) -> Void) {
        let blockBytes = UInt64(Geometry.blockBytes)
        var position = Int(arena.start / blockBytes)
        let end = Int(arena.end / blockBytes)
        while position < end {
            let runEnd = free.endOfRun(from: position, to: end)
            if free[position] {
                body(UInt64(position) * blockBytes..<UInt64(runEnd) * blockBytes)
            }
            position = runEnd
        }
    }

    /// The blocks that are free by the logs that could be read.
    func freeBlocks() -> BlockBits {
        let blockBytes = UInt64(Geometry.blockBytes)
        let bits = BlockBits(count: Int(deviceBytes / blockBytes))
        for arena in arenas where arena.isMapKnown {
            forEachFreeRange(of: arena) { range in
                bits.set(
                    Int(range.lowerBound / blockBytes)..<Int(range.upperBound / blockBytes),
                    to: true)
            }
        }
        return bits
    }

    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(DeviceError) {
        try device.read(at: offset, into: buffer)
    }
}

/// Reads one block after the other into the same memory.
final class SingleBlockReader {
    private let device: any BlockDevice
    private let buffer: UnsafeMutableRawBufferPointer

    init(_ device: any BlockDevice) {
        self.device = device
        buffer = .allocate(byteCount: Geometry.blockBytes, alignment: Geometry.blockBytes)
    }

    deinit {
        buffer.deallocate()
    }

    /// A block, valid until the next call.
    func read(_ address: BlockAddress) throws(DeviceError) -> UnsafeRawBufferPointer {
        try device.read(at: address.rawValue, into: buffer)
        return UnsafeRawBufferPointer(buffer)
    }
}
