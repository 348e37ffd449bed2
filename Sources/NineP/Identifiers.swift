/// A client's name for one outstanding request.
public struct Tag: RawRepresentable, Hashable, Sendable {
    public var rawValue: UInt16

    @inlinable
    public init(rawValue: UInt16) {
        self.rawValue = rawValue
    }

    /// NOTAG: what Tversion carries.
    public static let none = Tag(rawValue: 0xffff)
}

/// A client's name for a file on one connection.
public struct FidNumber: RawRepresentable, Hashable, Sendable {
    public var rawValue: UInt32

    @inlinable
    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// NOFID: no authentication file.
    public static let none = FidNumber(rawValue: 0xffff_ffff)
}

/// A file's identity as it goes over the wire: `type[1] version[4] path[8]`.
///
/// Source: intro(5).
public struct WireQid: Hashable, Sendable {
    public var type: UInt8
    public var version: UInt32
    public var path: UInt64

    @inlinable
    public init(type: UInt8, version: UInt32, path: UInt64) {
        self.type = type
        self.version = version
        self.path = path
    }

    /// The type bit of directories.
    public static let directoryType: UInt8 = 0x80
    /// The type bit of append-only files.
    public static let appendOnlyType: UInt8 = 0x40
    /// Every field all ones: what a wstat leaves alone.
    public static let untouched = WireQid(type: 0xff, version: 0xffff_ffff, path: .max)

    /// Bytes of an encoded qid.
    public static let byteCount = 13
}
