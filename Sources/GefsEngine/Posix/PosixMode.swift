import GefsFormat

/// What kind of file a POSIX system sees.
public enum FileKind: Hashable, Sendable {
    case file
    case directory
    case symbolicLink
    case fifo
    case socket
    case blockDevice
    case characterDevice
}

/// The bits of a directory entry's mode that 9P2000.u has for what POSIX knows beyond 9P.
///
/// The original shows such files as plain ones. Source: 9P2000.u, `Tcreate` and `stat`.
public enum PosixBits {
    public static let symbolicLink: UInt32 = 0x0200_0000
    public static let device: UInt32 = 0x0080_0000
    public static let fifo: UInt32 = 0x0020_0000
    public static let socket: UInt32 = 0x0010_0000
    public static let setUser: UInt32 = 0x0008_0000
    public static let setGroup: UInt32 = 0x0004_0000
    public static let sticky: UInt32 = 0x0001_0000

    /// Kinds of files that are none of 9P's.
    static let kinds: UInt32 = symbolicLink | device | fifo | socket
    /// What `chmod` changes.
    static let changeable: UInt32 = setUser | setGroup | sticky | ModeBits.permissions

    /// What stays of a mode for as long as the file lives: its kind.
    static func unchangeable(of mode: UInt32) -> UInt32 { mode & ~changeable }
}

/// A mode of POSIX as an entry's mode, and back.
public enum PosixMode {
    /// Permissions with the set-id and sticky bits (07777) as an entry has them.
    public static func entryBits(permissions: UInt32) -> UInt32 {
        var bits = permissions & ModeBits.permissions
        if permissions & 0o4000 != 0 { bits |= PosixBits.setUser }
        if permissions & 0o2000 != 0 { bits |= PosixBits.setGroup }
        if permissions & 0o1000 != 0 { bits |= PosixBits.sticky }
        return bits
    }

    /// The 07777 of an entry's mode.
    public static func permissions(of mode: UInt32) -> UInt32 {
        var permissions = mode & ModeBits.permissions
        if mode & PosixBits.setUser != 0 { permissions |= 0o4000 }
        if mode & PosixBits.setGroup != 0 { permissions |= 0o2000 }
        if mode & PosixBits.sticky != 0 { permissions |= 0o1000 }
        return permissions
    }

    /// The kind of an entry of this mode. Whether a device is one of blocks tells its content.
    public static func kind(of mode: UInt32) -> FileKind {
        if mode & ModeBits.directory != 0 { return .directory }
        if mode & PosixBits.symbolicLink != 0 { return .symbolicLink }
        if mode & PosixBits.fifo != 0 { return .fifo }
        if mode & PosixBits.socket != 0 { return .socket }
        if mode & PosixBits.device != 0 { return .characterDevice }
        return .file
    }

    /// The bits of an entry of this kind.
    public static func entryBits(kind: FileKind) -> UInt32 {
        switch kind {
        case .file: 0
        case .directory: ModeBits.directory
        case .symbolicLink: PosixBits.symbolicLink
        case .fifo: PosixBits.fifo
        case .socket: PosixBits.socket
        case .blockDevice, .characterDevice: PosixBits.device
        }
    }
}

/// The numbers of a device, which are the content of its file as 9P2000.u writes them.
public struct DeviceNumbers: Hashable, Sendable {
    public var isBlockDevice: Bool
    public var major: UInt32
    public var minor: UInt32

    public init(isBlockDevice: Bool, major: UInt32, minor: UInt32) {
        self.isBlockDevice = isBlockDevice
        self.major = major
        self.minor = minor
    }

    /// `c 5 1` or `b 8 0`; nil for anything else.
    public init?(parsing content: [UInt8]) {
        let words = content.split(separator: UInt8(ascii: " "))
        guard words.count == 3, words[0].count == 1,
            let major = UInt32(String(decoding: words[1], as: UTF8.self)),
            let minor = UInt32(String(decoding: words[2], as: UTF8.self))
        else { return nil }
        switch words[0].first {
        case UInt8(ascii: "b"): isBlockDevice = true
        case UInt8(ascii: "c"): isBlockDevice = false
        default: return nil
        }
        self.major = major
        self.minor = minor
    }

    /// What the file holds.
    public var content: [UInt8] {
        Array("\(isBlockDevice ? "b" : "c") \(major) \(minor)".utf8)
    }
}
