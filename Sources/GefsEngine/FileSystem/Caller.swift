/// Number of a user or group, as directory entries store it. Source: FORMAT 7.1, 10.3.
public struct UserID: RawRepresentable, Hashable, Sendable {
    public var rawValue: Int32

    public init(rawValue: Int32) {
        self.rawValue = rawValue
    }

    /// User `none`: has only the rights of others.
    public static let none = UserID(rawValue: 0)
    /// User and group `adm`.
    public static let adm = UserID(rawValue: -1)
    /// Group `nogroup`.
    public static let nogroup = UserID(rawValue: 9999)
}

/// Who asks for an operation, and whether it may wait.
public struct Caller: Sendable {
    public var user: UserID
    /// Passes all permission rules (a `%label` attach).
    public var isPermissive: Bool
    /// False on event loops: an operation that would read the device or wait throws
    /// `FileError.wouldBlock` before it has any effect.
    public var mayBlock: Bool
    /// Which of the observers asks, and so is not told of what it changes itself; 0 for nobody.
    public var door: Int
    /// Has a cache of its own for contents of files, as the kernel has: blocks that it reads or
    /// writes as a whole take no room in the volume's.
    public var cachesContents: Bool

    public init(
        user: UserID, isPermissive: Bool = false, mayBlock: Bool = true, door: Int = 0,
        cachesContents: Bool = false
    ) {
        self.user = user
        self.isPermissive = isPermissive
        self.mayBlock = mayBlock
        self.door = door
        self.cachesContents = cachesContents
    }
}
