import GefsFormat

/// A file as one tree holds it: its directory, its name there, its entry.
struct PlacedFile: Hashable, Sendable {
    /// Qid of the directory; all ones for a root.
    var parent: UInt64
    /// Empty for a root.
    var name: [UInt8]
    var entry: DirectoryEntry

    var qid: UInt64 { entry.qidPath }
    var isDirectory: Bool { entry.isDirectory }
    var isRoot: Bool { parent == .max }
    var length: UInt64 { UInt64(bitPattern: entry.length) }

    /// Key of the directory entry.
    var key: Key { Key.entry(parent: parent, name: name) }

    /// Whether both have the same directory and name.
    func isAtSamePlace(as other: PlacedFile) -> Bool {
        parent == other.parent && name == other.name
    }
}

extension DirectoryEntry {
    /// Whether kind, permissions and owners are the same.
    func hasSameAttributes(as other: DirectoryEntry) -> Bool {
        mode == other.mode && uid == other.uid && gid == other.gid
    }
}
