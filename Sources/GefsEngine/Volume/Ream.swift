import GefsFormat

/// Why a volume could not be made.
public enum ReamError: Error, Hashable, Sendable {
    case deviceTooSmall(byteCount: UInt64, minimum: UInt64)
    /// Empty, too long, one of the names with a meaning of their own, or with characters that a
    /// users file cannot hold.
    case badUserName(String)
    case device(DeviceError)
}

extension ReamError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .deviceTooSmall(let byteCount, let minimum):
            "device of \(byteCount) bytes is too small: a volume needs \(minimum)"
        case .badUserName(let name): "cannot make a volume for user \(name.debugDescription)"
        case .device(let error): error.description
        }
    }
}

/// Numbers of a user and a group of the host.
public struct HostOwner: Hashable, Sendable {
    public var user: UInt32
    public var group: UInt32

    public init(user: UInt32, group: UInt32) {
        self.user = user
        self.group = group
    }
}

/// Makes a volume: erases whatever the device holds.
///
/// The result is the original's, byte for byte, apart from blocks that nothing refers to.
/// Source: FORMAT 10 and 11.
public enum Ream {
    /// The shortest device that can hold a volume, in bytes.
    public static let deviceBytesMin = DeviceLayout.reamBytesMin

    /// Writes a fresh volume and flushes it.
    ///
    /// Until the end the device holds no valid superblock, so that an interrupted ream is never
    /// taken for a volume.
    /// - Parameters:
    ///   - device: at least `deviceBytesMin` long, open for writing.
    ///   - user: member of `adm`, besides `none` the only user.
    ///   - dialect: R can be taken over by both trees of the original.
    ///   - features: what the original does not know; with any it refuses the volume.
    ///   - owner: with feature `posix` the host's numbers of `user`, who owns the root directory.
    public static func run(
        device: any BlockDevice, user: String, dialect: Dialect = .r,
        features: FormatFeatures = [], owner: HostOwner = HostOwner(user: 0, group: 0)
    ) throws(ReamError) {
        guard device.byteCount >= deviceBytesMin else {
            throw .deviceTooSmall(byteCount: device.byteCount, minimum: deviceBytesMin)
        }
        try runOnAny(device, user: user, dialect: dialect, features: features, owner: owner)
    }

    /// The same for a device that is too small for a volume of use, but not for one that is to be
    /// looked at a hundred thousand times: at least 50 blocks for each arena.
    package static func runOnAny(
        _ device: any BlockDevice, user: String, dialect: Dialect = .r, arenaCount: Int? = nil,
        features: FormatFeatures = [], owner: HostOwner = HostOwner(user: 0, group: 0)
    ) throws(ReamError) {
        guard isUsable(user) else { throw .badUserName(user) }
        let content = FreshVolume(
            deviceBytes: device.byteCount, user: user, dialect: dialect, arenaCount: arenaCount,
            features: features, owner: owner)
        do throws(DeviceError) {
            let (body, superblocks) = content.writes()
            let nothing = BlockBuffer()
            nothing.clear()
            for superblock in superblocks {
                try device.write(at: superblock.offset, from: nothing.bytes)
            }
            try device.flush()
            try device.write(body)
            try device.flush()
            try device.write(superblocks)
            try device.flush()
        } catch {
            throw .device(error)
        }
    }

    /// Whether the users file can name `user` (SEMANTICS, "Users file").
    private static func isUsable(_ user: String) -> Bool {
        let reserved = ["adm", "none", "nogroup"]
        let forbidden = ":,#/".utf8
        return (1...127).contains(user.utf8.count) && !reserved.contains(user)
            && user.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7f && !forbidden.contains($0) }
    }
}
