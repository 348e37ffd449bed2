/// What a key names; its first byte, so that keys of one kind lie together.
///
/// Source: FORMAT 7; Docs/FORMAT.md 12 for the kinds that are ours.
@frozen
public enum KeyKind: UInt8, Hashable, Sendable, CaseIterable {
    /// A block of a file's contents; the value points to it.
    case data = 0
    /// A name in a directory; the value is the file's directory entry.
    case entry = 1
    /// The way up: from a directory to its own entry.
    case up = 2
    /// A name of a snapshot.
    case label = 3
    /// A snapshot.
    case snapshot = 4
    /// Blocks that a snapshot no longer holds.
    case deadlist = 5
    /// A setting.
    case config = 6
    /// A file that has several names; the value is its directory entry. Only with feature `posix`.
    case inode = 7
    /// A name of such a file: from the file back to the directory. Only with feature `posix`.
    case link = 8
    /// A part of an extended attribute of a file. Only with feature `posix`.
    case attribute = 9

    /// Whether only volumes with the feature `posix` have keys of this kind.
    @inlinable public var isPosix: Bool { rawValue >= KeyKind.inode.rawValue }
}
