/// What a message in a pivot's buffer does to the value of its key.
///
/// Source: FORMAT 6.4.
@frozen
public enum MessageKind: UInt8, Hashable, Sendable, CaseIterable {
    /// The payload becomes the value.
    case insert = 1
    /// Removes a key that is there.
    case delete = 2
    /// Removes a block of a file if there is one.
    case clearb = 3
    /// Removes a key if it is there.
    case clobber = 4
    /// Changes fields of a directory entry.
    case wstat = 5
    /// Sets a snapshot's successor and changes its counts.
    case relink = 6
    /// Sets a snapshot's predecessor and changes its counts.
    case reprev = 7
    /// Changes a snapshot's counts (dialect N only).
    case incref = 8

    /// Whether the message only makes its key absent. Its payload, if any, has no meaning.
    @inlinable
    public var isRemoval: Bool { self == .delete || self == .clearb || self == .clobber }
}
