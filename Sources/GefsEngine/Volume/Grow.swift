import GefsFormat

/// Why a volume could not be grown.
public enum GrowError: Error, Hashable, Sendable {
    /// Behind the last arena there are only so many bytes.
    case notEnoughSpace(byteCount: UInt64, minimum: UInt64)
    /// The superblock has no room for more arenas.
    case tooManyArenas(count: Int)
    /// There is no usable superblock.
    case superblock(ReadError)
    /// The last arena cannot be used, so its end is unknown.
    case arena(StoreError)
    case device(DeviceError)
}

extension GrowError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .notEnoughSpace(let byteCount, let minimum):
            "\(byteCount) bytes behind the last arena are too few: growing needs \(minimum)"
        case .tooManyArenas(let count): "a volume of \(count) arenas cannot have more"
        case .superblock(let error): error.description
        case .arena(let error): error.description
        case .device(let error): error.description
        }
    }
}

/// Lets a volume use all of a device that became longer. The volume must not be open.
///
/// Source: FORMAT 10.4.
public enum Grow {
    /// What was added.
    public struct Report: Hashable, Sendable {
        /// Arenas before and now.
        public let arenaCountBefore: Int
        public let arenaCount: Int
        /// Bytes that became usable.
        public let addedBytes: UInt64
    }

    /// Adds arenas behind the last one, and flushes.
    ///
    /// A crash at any point leaves a valid volume of the old or of the new length: the new arenas
    /// are durable before a superblock names them, and the new backup before the primary changes.
    /// Trees, existing arenas and their hashes stay as they are.
    @discardableResult
    public static func run(device: any BlockDevice) throws(GrowError) -> Report {
        let old = try load(device)
        let end = try endOfLastArena(old, device)
        guard
            let layout = DeviceLayout.arenasAtGrow(end: end, deviceBytes: device.byteCount)
        else {
            let limit = DeviceLayout.backupSuperblock(deviceBytes: device.byteCount)
            throw .notEnoughSpace(
                byteCount: limit > end ? limit - end : 0, minimum: DeviceLayout.growthBytesMin)
        }
        guard old.arenas.count + layout.addresses.count <= Geometry.arenaCountMax else {
            throw .tooManyArenas(count: old.arenas.count)
        }
        let pool = BlockBufferPool()
        var grown = old
        var body: [StoreWrite] = []
        for address in layout.addresses {
            let arena = FreshArena(
                address: BlockAddress(rawValue: address), byteCount: layout.byteCount)
            let (hash, writes) = arena.writes(pool: pool)
            grown.arenas.append(Superblock.ArenaReference(address: arena.address, hash: hash))
            body += writes
        }
        let block = pool.make()
        grown.encode(into: block.mutableBytes)
        do throws(DeviceError) {
            // The old backup may lie where a new header goes; a valid primary is there meanwhile.
            try device.write(body)
            try device.flush()
            try device.write(
                at: DeviceLayout.backupSuperblock(deviceBytes: device.byteCount),
                from: block.bytes)
            try device.flush()
            try device.write(at: 0, from: block.bytes)
            try device.flush()
        } catch {
            throw .device(error)
        }
        return Report(
            arenaCountBefore: old.arenas.count, arenaCount: grown.arenas.count,
            addedBytes: UInt64(layout.addresses.count) * layout.byteCount)
    }

    /// The superblock. If the only good copy is a backup, it becomes the primary first, because
    /// growing overwrites backups.
    private static func load(_ device: any BlockDevice) throws(GrowError) -> Superblock {
        let pair = SuperblockPair(reading: device)
        let superblock: Superblock
        do throws(ReadError) {
            superblock = try pair.loaded()
        } catch {
            throw .superblock(error)
        }
        guard case .failure = pair.primary else { return superblock }
        let block = BlockBuffer()
        superblock.encode(into: block.mutableBytes)
        do throws(DeviceError) {
            try device.write(at: 0, from: block.bytes)
            try device.flush()
        } catch {
            throw .device(error)
        }
        return superblock
    }

    private static func endOfLastArena(
        _ superblock: Superblock, _ device: any BlockDevice
    ) throws(GrowError) -> UInt64 {
        let index = superblock.arenas.count - 1
        let reference = superblock.arenas[index]
        let header: ArenaHeader
        do throws(StoreError) {
            (header, _) = try ArenaSet.loadHeader(reference, index: index, device: device)
        } catch {
            throw .arena(error)
        }
        let (end, overflow) = reference.address.rawValue.addingReportingOverflow(
            header.byteCount + 2 * UInt64(Geometry.blockBytes))
        guard !overflow else {
            throw .arena(
                .arenaOutside(
                    index: index, address: reference.address, byteCount: header.byteCount))
        }
        return end
    }
}
