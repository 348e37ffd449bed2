import GefsFormat

/// What can be wrong with labels and snapshot records.
public enum SnapshotFault: Hashable, Sendable {
    /// A link from one snapshot to another.
    public enum Link: Hashable, Sendable {
        /// To the snapshot before.
        case predecessor
        /// To the snapshot behind.
        case successor
    }

    /// A label that every volume has is not there.
    case labelMissing(Key)
    /// A label names a snapshot that is not there.
    case labelDangling(Key, Generation)
    /// A label has unknown flags.
    case labelFlags(Key, UInt32)
    /// A record of the snapshot tree that is none.
    case record(Key, RecordError)
    /// A message cannot be applied to what is below it.
    case message(Key, FoldError)
    /// A record states another generation than its key, or one not handed out yet.
    case generation(TreeName, stated: Generation, next: Generation)
    /// The record counts its labels wrong.
    case labelCount(TreeName, stated: UInt32, found: Int)
    /// Neither a label nor another snapshot needs it.
    case unreferenced(TreeName)
    /// It is linked to a snapshot that is not there.
    case linkDangling(TreeName, Link, Generation)
}

extension SnapshotFault: Fault {
    var severity: Finding.Severity {
        switch self {
        case .labelMissing, .labelDangling, .record, .message, .generation: .error
        case .labelFlags, .labelCount, .unreferenced, .linkDangling: .warning
        }
    }

    var kind: String {
        switch self {
        case .labelMissing: "snapshot.labelMissing"
        case .labelDangling: "snapshot.labelDangling"
        case .labelFlags: "snapshot.labelFlags"
        case .record: "snapshot.record"
        case .message: "snapshot.message"
        case .generation: "snapshot.generation"
        case .labelCount: "snapshot.labelCount"
        case .unreferenced: "snapshot.unreferenced"
        case .linkDangling: "snapshot.linkDangling"
        }
    }

    /// What is wrong.
    public var description: String {
        switch self {
        case .labelMissing(let key): "\(key.outline) is missing"
        case .labelDangling(let key, let generation):
            "\(key.outline) names snapshot \(generation), which is missing"
        case .labelFlags(let key, let flags):
            "\(key.outline) has flags \(hexadecimal(UInt64(flags)))"
        case .record(let key, let error): "\(key.outline): \(error)"
        case .message(let key, let error): "\(key.outline): \(error)"
        case .generation(let tree, let stated, let next):
            "\(tree): record says generation \(stated), the next one is \(next)"
        case .labelCount(let tree, let stated, let found):
            "\(tree): counts \(stated) labels, has \(found)"
        case .unreferenced(let tree): "\(tree): nothing refers to it"
        case .linkDangling(let tree, let link, let generation):
            "\(tree): \(link) \(generation) does not exist"
        }
    }
}

extension SnapshotFault.Link: CustomStringConvertible {
    /// `predecessor` or `successor`.
    public var description: String {
        switch self {
        case .predecessor: "predecessor"
        case .successor: "successor"
        }
    }
}
