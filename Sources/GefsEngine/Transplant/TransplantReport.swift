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
        if !isLinked, !old.isAtSamePlace(as: new) { return .renamed }
        return contents == nil ? .attributes : .changed
    }

    /// Whether names of the file come and go each by itself.
    var isLinked: Bool { (new ?? old)?.isLinked ?? false }

    /// What is told of the file. Of one that has several names, each that comes or goes is told of,
    /// and the file itself where anything else of it changes.
    func items(copiedBytes: UInt64) -> [TransplantReport.Item] {
        let isDirectory = (new ?? old)?.isDirectory ?? false
        var items: [TransplantReport.Item] = []
        let effects: [(TransplantReport.Effect, [[[UInt8]]])] = [
            (.added, names.added), (.removed, names.removed),
        ]
        for (effect, paths) in effects where isLinked {
            items += paths.map {
                TransplantReport.Item(
                    effect: effect, isDirectory: false, path: $0, copiedBytes: 0)
            }
        }
        if items.contains(where: { $0.path == path }) {
            let index = items.firstIndex { $0.path == path } ?? 0
            items[index].copiedBytes = copiedBytes
        } else if items.isEmpty || changesMoreThanNames {
            items.append(
                TransplantReport.Item(
                    effect: effect, isDirectory: isDirectory, path: path,
                    copiedBytes: copiedBytes))
        }
        return items
    }

    private var changesMoreThanNames: Bool {
        guard let old, let new else { return false }
        return contents != nil || attributes != nil
            || !old.entry.hasSameAttributes(as: new.entry)
            || old.entry.modificationTime != new.entry.modificationTime
    }
}
