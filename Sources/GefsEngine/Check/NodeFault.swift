import GefsFormat

/// What can be wrong with the contents of a tree node whose hash is right.
public enum NodeFault: Hashable, Sendable {
    /// Records are not where the header and the table say.
    case undecodable(CorruptBlock.Reason)
    /// A leaf above the lowest level, or a pivot on it.
    case height(BlockKind, height: Int)
    /// The tree is higher than any can be, or not high at all.
    case treeHeight(UInt32)
    /// No records.
    case empty
    /// The parent states another fill.
    case fill(stated: Int, found: Int)
    /// A key of a kind that this tree does not hold.
    case foreignKey(Key)
    /// A key or value over the limits.
    case oversized(Key, valueBytes: Int)
    /// A key that is not above the one before.
    case keyOrder(index: Int, Key)
    /// A message that sorts before the one in front of it.
    case messageOrder(index: Int, Key)
    /// A message of an unknown kind.
    case messageKind(index: Int, UInt8)
    /// A key or message outside the range that the parent gives to this node.
    case range(Key)
    /// A value or key that is not what the format demands.
    case record(CorruptBlock.Reason)
    /// A pivot with one child; dialect N leaves that for a moment.
    case oneChild
}

extension NodeFault: Fault {
    var severity: Finding.Severity {
        if case .oneChild = self { .note } else { .error }
    }

    var kind: String {
        switch self {
        case .undecodable: "node.undecodable"
        case .height: "node.height"
        case .treeHeight: "node.treeHeight"
        case .empty: "node.empty"
        case .fill: "node.fill"
        case .foreignKey: "node.foreignKey"
        case .oversized: "node.oversized"
        case .keyOrder: "node.keyOrder"
        case .messageOrder: "node.messageOrder"
        case .messageKind: "node.messageKind"
        case .range: "node.range"
        case .record: "node.record"
        case .oneChild: "node.oneChild"
        }
    }

    /// What is wrong.
    public var description: String {
        switch self {
        case .undecodable(let reason), .record(let reason): reason.description
        case .height(let kind, let height): "\(kind) at height \(height)"
        case .treeHeight(let height):
            "tree height \(height), expected 1 to \(Geometry.treeHeightMax)"
        case .empty: "no records"
        case .fill(let stated, let found): "parent says fill \(stated), is \(found)"
        case .foreignKey(let key): "\(key.outline) does not belong into this tree"
        case .oversized(let key, let valueBytes):
            "\(key.outline): key of \(key.bytes.count), value of \(valueBytes) bytes"
        case .keyOrder(let index, let key):
            "record \(index): \(key.outline) is not above the one before"
        case .messageOrder(let index, let key):
            "message \(index): \(key.outline) is below the one before"
        case .messageKind(let index, let kind): "message \(index): kind \(kind), expected 1 to 8"
        case .range(let key): "\(key.outline) is outside the range of this node"
        case .oneChild: "pivot with 1 child"
        }
    }
}
