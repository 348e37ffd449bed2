/// What a key names; its first byte, so that keys of one kind lie together.
///
/// Source: FORMAT 7.
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
}
