import GefsFormat

/// The bits of a directory entry's mode that are no permissions. Source: FORMAT 7.1, stat(5).
public enum ModeBits {
    public static let directory: UInt32 = 0x8000_0000
    public static let appendOnly: UInt32 = 0x4000_0000
    public static let exclusive: UInt32 = 0x2000_0000
    public static let mount: UInt32 = 0x1000_0000
    public static let authentication: UInt32 = 0x0800_0000
    public static let temporary: UInt32 = 0x0400_0000
    public static let permissions: UInt32 = 0o777
}

/// Identity of a file as 9P sees it.
public struct Qid: Hashable, Sendable {
    public var path: UInt64
    public var version: UInt32
    public var type: UInt8

    public init(path: UInt64, version: UInt32, type: UInt8) {
        self.path = path
        self.version = version
        self.type = type
    }
}

/// What stat tells of a file.
public struct FileStatus: Sendable {
    public var qid: Qid
    public var mode: UInt32
    /// Nanoseconds since 1970.
    public var accessTime: Int64
    /// Nanoseconds since 1970.
    public var modificationTime: Int64
    /// Bytes; 0 for a directory.
    public var length: UInt64
    /// Name as stored; `/` for a root.
    public var name: [UInt8]
    public var owner: UserID
    public var group: UserID
    public var lastModifier: UserID
}

/// What a wstat asks to change; nil leaves a field alone. Source: SEMANTICS 6.
public struct AttributeChanges: Sendable {
    public var name: [UInt8]?
    public var length: UInt64?
    public var mode: UInt32?
    /// Nanoseconds since 1970.
    public var modificationTime: Int64?
    public var owner: UserID?
    public var group: UserID?
    /// Must equal the present one where given.
    public var qidPath: UInt64?
    /// Must equal the present one where given.
    public var qidVersion: UInt32?
    /// Must equal the present one where given.
    public var qidType: UInt8?

    public init() {}

    /// True where nothing is to change: a wstat of this kind is a sync.
    public var isEmpty: Bool {
        name == nil && length == nil && mode == nil && modificationTime == nil && owner == nil
            && group == nil && qidPath == nil && qidVersion == nil && qidType == nil
    }
}

/// How a file is to be opened. Source: SEMANTICS 4.
public struct OpenMode: Hashable, Sendable {
    public enum Access: UInt8, Sendable {
        case read = 0
        case write = 1
        case readWrite = 2
        case execute = 3
    }

    public var access: Access
    public var truncates: Bool
    public var removesOnClose: Bool

    public init(_ access: Access, truncates: Bool = false, removesOnClose: Bool = false) {
        self.access = access
        self.truncates = truncates
        self.removesOnClose = removesOnClose
    }

    public var allowsReading: Bool { access != .write }
    public var allowsWriting: Bool { access == .write || access == .readWrite }
}
