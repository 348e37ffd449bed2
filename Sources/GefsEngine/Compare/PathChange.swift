import GefsFormat

/// What became of a file from one tree to another, as people see it.
public struct PathChange: Sendable {
    public enum Kind: String, Sendable {
        case added
        case removed
        case changed
        /// Another name or directory; it may have changed besides.
        case renamed
    }

    /// What differs in a file that both trees have.
    public struct Aspects: OptionSet, Sendable, Hashable {
        public let rawValue: UInt8

        public init(rawValue: UInt8) {
            self.rawValue = rawValue
        }

        public static let contents = Aspects(rawValue: 1)
        public static let size = Aspects(rawValue: 2)
        public static let mode = Aspects(rawValue: 4)
        public static let owner = Aspects(rawValue: 8)
        public static let group = Aspects(rawValue: 16)
        public static let modificationTime = Aspects(rawValue: 32)
        /// Extended attributes.
        public static let attributes = Aspects(rawValue: 64)
    }

    public var kind: Kind
    /// From the root of the new tree, with a slash in front; of a removed file from that of the old.
    public var path: [UInt8]
    /// The path in the old tree of what was renamed.
    public var oldPath: [UInt8]?
    /// Nil for what was added.
    public var old: DirectoryEntry?
    /// Nil for what was removed.
    public var new: DirectoryEntry?
    /// Empty for what was added or removed, or renamed and nothing else.
    public var aspects: Aspects
    /// Blocks of contents that are not the same; for what was added or removed those it has. A name
    /// more or less of a file that both trees have is no reason for any.
    public var blockCount: UInt64

    /// The entry in the new tree, or what it was.
    public var entry: DirectoryEntry? { new ?? old }
    public var isDirectory: Bool { entry?.isDirectory ?? false }
}

/// Totals of a comparison.
public struct ComparisonTotals: Sendable, Hashable {
    public var added = 0
    public var removed = 0
    public var changed = 0
    public var renamed = 0
    /// Bytes of the files that were added.
    public var addedBytes: UInt64 = 0
    /// Bytes of the files that were removed.
    public var removedBytes: UInt64 = 0
    /// Bytes in blocks that are not the same, in files that both trees have.
    public var changedBytes: UInt64 = 0
    /// Blocks that the comparison read from the device.
    public var blocksRead = 0

    public var differenceCount: Int { added + removed + changed + renamed }

    mutating func add(_ change: PathChange) {
        let size = UInt64(max(0, change.entry?.length ?? 0))
        switch change.kind {
        case .added:
            added += 1
            addedBytes += size
            return
        case .removed:
            removed += 1
            removedBytes += size
            return
        case .changed: changed += 1
        case .renamed: renamed += 1
        }
        changedBytes += change.blockCount * UInt64(Geometry.blockBytes)
    }
}
