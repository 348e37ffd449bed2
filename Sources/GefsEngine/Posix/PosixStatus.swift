import GefsFormat

/// What `stat(2)` tells of a file.
public struct PosixStatus: Sendable {
    /// Number of the file, unique in the volume; 0 is the root of `main`.
    public var qidPath: UInt64
    /// Goes up with every change.
    public var version: UInt32
    /// The entry's mode: see `PosixMode`.
    public var mode: UInt32
    /// Bytes; of a directory 0.
    public var length: UInt64
    /// Bytes of the blocks that it takes; nil where nobody has counted them: `posixStatus` does.
    public var allocatedBytes: UInt64?
    /// Nanoseconds since 1970.
    public var accessTime: Int64
    /// Nanoseconds since 1970.
    public var modificationTime: Int64
    /// Nanoseconds since 1970; without the feature `posix` in memory only, while somebody refers to
    /// the file.
    public var changeTime: Int64
    /// Names that the file has; 0 where it has none any more.
    public var linkCount: UInt32
    public var owner: UserID
    public var group: UserID
    /// The file has no name any more.
    public var isRemoved: Bool
    /// The file has extended attributes.
    public var hasAttributes: Bool

    init(
        _ entry: DirectoryEntry, allocatedBlocks: UInt64?, changeTime: Int64?, isRemoved: Bool
    ) {
        qidPath = entry.qidPath
        version = entry.qidVersion
        mode = entry.mode
        length = entry.isDirectory ? 0 : UInt64(bitPattern: entry.length)
        allocatedBytes = allocatedBlocks.map { $0 * UInt64(Geometry.blockBytes) }
        accessTime = entry.accessTime
        modificationTime = entry.modificationTime
        self.changeTime = entry.posix?.changeTime ?? changeTime ?? entry.modificationTime
        linkCount = isRemoved ? 0 : entry.posix?.linkCount ?? 1
        owner = UserID(rawValue: entry.uid)
        group = UserID(rawValue: entry.gid)
        self.isRemoved = isRemoved
        hasAttributes = entry.posix?.hasAttributes ?? false
    }
}

extension FileNode {
    /// Lock held.
    var posixStatus: PosixStatus {
        PosixStatus(
            entry, allocatedBlocks: allocatedBlocks, changeTime: changeTime, isRemoved: isRemoved)
    }
}

/// What `setattr` asks to change; nil leaves a field alone.
public struct PosixChanges: Sendable {
    /// Permissions with the set-id and sticky bits: 07777.
    public var permissions: UInt32?
    public var owner: UserID?
    public var group: UserID?
    public var length: UInt64?
    /// A file, not a directory, loses its set-id bits.
    public var clearsSetIDs = false
    /// A file that is longer than `length` stays so.
    public var isLengthMinimum = false
    /// Nanoseconds since 1970.
    public var accessTime: Int64?
    /// Nanoseconds since 1970.
    public var modificationTime: Int64?

    public init() {}
}

/// Who makes a file, and of what kind.
public struct PosixCreation: Sendable {
    /// The entry's mode: see `PosixMode`.
    public var mode: UInt32
    public var owner: UserID
    public var group: UserID
    /// What the file holds at once: the target of a symbolic link, a device's numbers.
    public var content: [UInt8]
    /// Extended attributes that it has from the beginning; none without the feature `posix`.
    public var attributes: [Attribute] = []

    public typealias Attribute = (name: [UInt8], value: [UInt8])

    public init(mode: UInt32, owner: UserID, group: UserID, content: [UInt8] = []) {
        self.mode = mode
        self.owner = owner
        self.group = group
        self.content = content
    }
}
