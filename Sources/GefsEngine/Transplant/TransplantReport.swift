/// What was changed, or would be, by bringing files from one tree into another.
public struct TransplantReport: Sendable, Hashable {
    /// What happens to a file.
    public enum Effect: String, Sendable, Hashable {
        /// It comes, or comes back.
        case added
        /// It gets other contents.
        case changed
        /// Kind, permissions, owners or times alone change.
        case attributes
        /// It gets another name, and maybe other contents.
        case renamed
        case removed
    }

    /// One file.
    public struct Item: Sendable, Hashable {
        public var effect: Effect
        public var isDirectory: Bool
        /// Names from the root to the file: the new ones, or the old ones of a file that goes.
        public var path: [[UInt8]]
        /// Bytes of blocks that are copied for it.
        public var copiedBytes: UInt64
    }

    /// In the order of the paths.
    public var items: [Item] = []
    /// Files that blocks are copied for.
    public var copiedFiles: Int { items.count { $0.copiedBytes > 0 } }
    /// Bytes of the blocks that are copied: what the branch needs room for, besides its tree.
    public var copiedBytes: UInt64 { items.reduce(0) { $0 + $1.copiedBytes } }
}

extension FileChange {
    var effect: TransplantReport.Effect {
        guard let new else { return .removed }
        guard let old else { return .added }
        if !old.isAtSamePlace(as: new) { return .renamed }
        return contents == nil ? .attributes : .changed
    }
}
