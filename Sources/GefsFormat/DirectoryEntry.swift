/// All that is known about a file but its name and contents: the value of an entry key.
///
/// Source: FORMAT 7.1.
public struct DirectoryEntry: Hashable, Sendable {
    // swift-format-ignore
    enum Layout {
        static let flags            = ByteField<UInt64>(at: 0)
        static let qidPath          = ByteField<UInt64>(after: flags)
        static let qidVersion       = ByteField<UInt32>(after: qidPath)
        static let qidType          = ByteField<UInt8>(after: qidVersion)
        static let mode             = ByteField<UInt32>(after: qidType)
        static let accessTime       = ByteField<Int64>(after: mode)
        static let modificationTime = ByteField<Int64>(after: accessTime)
        static let length           = ByteField<UInt64>(after: modificationTime)
        static let uid              = ByteField<Int32>(after: length)
        static let gid              = ByteField<Int32>(after: uid)
        static let muid             = ByteField<Int32>(after: gid)
        static let byteCount        = muid.end
        // What volumes with the feature `posix` add.
        static let changeTime       = ByteField<Int64>(after: muid)
        static let linkCount        = ByteField<UInt32>(after: changeTime)
        static let traits           = ByteField<UInt32>(after: linkCount)
        static let posixByteCount   = traits.end
    }

    /// What POSIX knows of a file beyond 9P, on volumes with the feature `posix`.
    ///
    /// Source: Docs/FORMAT.md 12.2.
    public struct Posix: Hashable, Sendable {
        /// Last change of contents or attributes, in nanoseconds since 1970.
        public var changeTime: Int64
        /// How many names the file has: 1 unless the entry is the value of an inode key. Of a
        /// directory: 2 and one for each directory in it, or 1 where nobody has counted them.
        public var linkCount: UInt32
        /// Whether the file has extended attributes.
        public var hasAttributes: Bool
        /// Whether blocks of the file may be missing.
        public var mayHaveHoles: Bool

        /// What there is to know of a file, made of its parts.
        public init(
            changeTime: Int64, linkCount: UInt32 = 1, hasAttributes: Bool = false,
            mayHaveHoles: Bool = false
        ) {
            self.changeTime = changeTime
            self.linkCount = linkCount
            self.hasAttributes = hasAttributes
            self.mayHaveHoles = mayHaveHoles
        }

        fileprivate init(changeTime: Int64, linkCount: UInt32, traits: UInt32) {
            self.init(
                changeTime: changeTime, linkCount: linkCount,
                hasAttributes: traits & Self.traitAttributes != 0,
                mayHaveHoles: traits & Self.traitHoles != 0)
        }

        fileprivate var traits: UInt32 {
            (hasAttributes ? Self.traitAttributes : 0) | (mayHaveHoles ? Self.traitHoles : 0)
        }

        private static let traitAttributes: UInt32 = 1
        private static let traitHoles: UInt32 = 2
    }

    /// The encoded size without what POSIX adds, 61 bytes.
    @inlinable public static var byteCount: Int { 61 }
    /// The encoded size with it, 77 bytes.
    @inlinable public static var posixByteCount: Int { 77 }

    /// Bit of `mode`: a directory.
    @inlinable public static var modeDirectory: UInt32 { 0x8000_0000 }
    /// Bit of `mode`: writes always go to the end.
    @inlinable public static var modeAppendOnly: UInt32 { 0x4000_0000 }
    /// Bit of `mode`: open by one at a time.
    @inlinable public static var modeExclusive: UInt32 { 0x2000_0000 }
    /// Bit of `mode`: not to be kept by archives.
    @inlinable public static var modeTemporary: UInt32 { 0x0400_0000 }

    /// Storage flags, 0; in entries made by dialect R arbitrary and to be ignored.
    public var flags: UInt64
    /// The file's number, unique on the disk and never used again.
    public var qidPath: UInt64
    /// Goes up with every change, modulo 2³².
    public var qidVersion: UInt32
    /// The top byte of the mode.
    public var qidType: UInt8
    /// 9P mode: permissions in the low nine bits, kind in the high byte.
    public var mode: UInt32
    /// Last read, in nanoseconds since 1970.
    public var accessTime: Int64
    /// Last change of the contents, in nanoseconds since 1970.
    public var modificationTime: Int64
    /// Bytes in the file, never negative.
    public var length: Int64
    /// The owner's number in the users file.
    public var uid: Int32
    /// The group's number in the users file.
    public var gid: Int32
    /// The number of who changed it last.
    public var muid: Int32
    /// What POSIX adds; nil where the entry has no place for it.
    public var posix: Posix?

    /// An entry made of its parts; `qidType` follows from `mode`.
    public init(
        flags: UInt64 = 0, qidPath: UInt64, qidVersion: UInt32 = 0, mode: UInt32,
        accessTime: Int64 = 0, modificationTime: Int64 = 0, length: Int64 = 0,
        uid: Int32, gid: Int32, muid: Int32, posix: Posix? = nil
    ) {
        self.flags = flags
        self.qidPath = qidPath
        self.qidVersion = qidVersion
        self.qidType = UInt8(mode >> 24)
        self.mode = mode
        self.accessTime = accessTime
        self.modificationTime = modificationTime
        self.length = length
        self.uid = uid
        self.gid = gid
        self.muid = muid
        self.posix = posix
    }

    /// Reads the value of an entry key.
    ///
    /// - Throws: `RecordError` when it has another size or a length beyond `Int64`.
    public init(decoding bytes: UnsafeRawBufferPointer) throws(RecordError) {
        guard let base = bytes.baseAddress,
            bytes.count == Self.byteCount || bytes.count == Self.posixByteCount
        else { throw .size(found: bytes.count, expected: Self.byteCount) }
        let storedLength = base[Layout.length]
        guard let length = Int64(exactly: storedLength) else { throw .fileLength(storedLength) }
        flags = base[Layout.flags]
        qidPath = base[Layout.qidPath]
        qidVersion = base[Layout.qidVersion]
        qidType = base[Layout.qidType]
        mode = base[Layout.mode]
        accessTime = base[Layout.accessTime]
        modificationTime = base[Layout.modificationTime]
        self.length = length
        uid = base[Layout.uid]
        gid = base[Layout.gid]
        muid = base[Layout.muid]
        if bytes.count == Self.posixByteCount {
            posix = Posix(
                changeTime: base[Layout.changeTime], linkCount: base[Layout.linkCount],
                traits: base[Layout.traits])
        }
    }

    /// How many bytes `encode` writes: 61 or 77.
    public var encodedByteCount: Int { posix == nil ? Self.byteCount : Self.posixByteCount }

    /// Writes `encodedByteCount` bytes.
    public func encode(into bytes: UnsafeMutableRawPointer) {
        assert(length >= 0)
        bytes[Layout.flags] = flags
        bytes[Layout.qidPath] = qidPath
        bytes[Layout.qidVersion] = qidVersion
        bytes[Layout.qidType] = qidType
        bytes[Layout.mode] = mode
        bytes[Layout.accessTime] = accessTime
        bytes[Layout.modificationTime] = modificationTime
        bytes[Layout.length] = UInt64(bitPattern: length)
        bytes[Layout.uid] = uid
        bytes[Layout.gid] = gid
        bytes[Layout.muid] = muid
        guard let posix else { return }
        bytes[Layout.changeTime] = posix.changeTime
        bytes[Layout.linkCount] = posix.linkCount
        bytes[Layout.traits] = posix.traits
    }

    /// What `encode` writes.
    public func encoded() -> [UInt8] {
        encodedBytes(encodedByteCount) { encode(into: $0) }
    }

    /// Whether it is a directory.
    @inlinable public var isDirectory: Bool { mode & Self.modeDirectory != 0 }
    /// Whether writes always go to the end.
    @inlinable public var isAppendOnly: Bool { mode & Self.modeAppendOnly != 0 }
    /// Whether only one at a time may have it open.
    @inlinable public var isExclusive: Bool { mode & Self.modeExclusive != 0 }
}

/// An array of `byteCount` bytes, all of which `encode` writes.
func encodedBytes(_ byteCount: Int, _ encode: (UnsafeMutableRawPointer) -> Void) -> [UInt8] {
    Array(unsafeUninitializedCapacity: byteCount) { buffer, count in
        guard let start = buffer.baseAddress else { return }
        encode(UnsafeMutableRawPointer(start))
        count = byteCount
    }
}
