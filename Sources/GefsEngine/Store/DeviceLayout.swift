import GefsFormat

/// Where things lie on a device of a given length.
///
/// Source: FORMAT 3 and 4.1.
enum DeviceLayout {
    private static let blockBytes = UInt64(Geometry.blockBytes)

    /// The shortest device that can be made a volume, in bytes.
    static let reamBytesMin = (UInt64(128) << 20) + blockBytes

    /// The largest arena that is opened, in bytes: far above what ream makes, and small enough
    /// that a free map of it can be made whatever a damaged disk claims.
    static let arenaBytesMax = UInt64(1) << 52

    /// The shortest space, in bytes, that growing adds.
    static let growthBytesMin = UInt64(64) << 20

    /// How many arenas growing adds.
    static let growthArenaCount = 4

    /// Address of the backup superblock: the last whole block.
    static func backupSuperblock(deviceBytes: UInt64) -> UInt64 {
        let whole = deviceBytes - deviceBytes % blockBytes
        return whole >= blockBytes ? whole - blockBytes : 0
    }

    /// The arenas of a fresh volume: address of each header, and S.
    static func arenasAtReam(
        deviceBytes: UInt64, arenaCount: Int? = nil
    ) -> (addresses: [UInt64], byteCount: UInt64) {
        let usable = deviceBytes - deviceBytes % blockBytes - 2 * blockBytes
        let wanted = (usable + (4 << 40) - 1) / (4 << 40)
        let count = arenaCount.map { UInt64($0) } ?? min(max(wanted, 8), 32)
        return split(from: blockBytes, byteCount: usable, count: count)
    }

    /// The arenas that growing adds between `end`, the end of the last arena, and the place of the
    /// new backup superblock; nil if there is not enough room.
    ///
    /// Source: FORMAT 10.4.
    static func arenasAtGrow(
        end: UInt64, deviceBytes: UInt64
    ) -> (addresses: [UInt64], byteCount: UInt64)? {
        let limit = deviceBytes - deviceBytes % blockBytes
        guard limit >= 2 * blockBytes, limit - 2 * blockBytes >= end,
            limit - 2 * blockBytes - end >= growthBytesMin
        else { return nil }
        return split(
            from: end, byteCount: limit - 2 * blockBytes - end, count: UInt64(growthArenaCount))
    }

    private static func split(
        from start: UInt64, byteCount: UInt64, count: UInt64
    ) -> (addresses: [UInt64], byteCount: UInt64) {
        let share = byteCount / count
        let size = share - share % blockBytes - 2 * blockBytes
        return ((0..<count).map { start + $0 * (size + 2 * blockBytes) }, size)
    }
}
