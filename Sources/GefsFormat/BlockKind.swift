/// What a block holds; the first two bytes of every block except file data.
///
/// Source: FORMAT 1, "Block types".
@frozen
public enum BlockKind: UInt16, Hashable, Sendable {
    /// File contents: the only kind without a header, so this number is never stored.
    case data = 0
    /// Inner node of a tree.
    case pivot = 1
    /// Outermost node of a tree.
    case leaf = 2
    /// Part of an arena's allocation log.
    case allocationLog = 3
    /// Part of a list of dead blocks.
    case deadlist = 4
    /// Header or footer of an arena.
    case arena = 5
    /// Superblock: the number is the start of its magic, `ge`.
    case superblock = 0x6765
}

extension BlockKind: CustomStringConvertible {
    /// As in messages: `allocation log`.
    public var description: String {
        switch self {
        case .data: "data"
        case .pivot: "pivot"
        case .leaf: "leaf"
        case .allocationLog: "allocation log"
        case .deadlist: "deadlist"
        case .arena: "arena header"
        case .superblock: "superblock"
        }
    }
}
