import GefsFormat

/// What became of one file from one tree to another: its entry, and the entry's place.
///
/// Files are known by their qid, which is never given to another file and is kept by renames. So
/// trees of different branches of a disk compare like two states of one branch.
struct EntryDifference {
    /// An entry and its place.
    struct Place: Hashable {
        /// The qid of the directory; all ones for the root.
        var parent: UInt64
        var name: [UInt8]
        var entry: DirectoryEntry

        init(parent: UInt64, name: [UInt8], entry: DirectoryEntry) {
            self.parent = parent
            self.name = name
            self.entry = entry
        }

        init(_ place: FileName.Place, _ entry: DirectoryEntry) {
            self.init(parent: place.parent, name: place.name, entry: entry)
        }

        func isSamePlace(as other: Place) -> Bool {
            parent == other.parent && name == other.name
        }
    }

    let qid: UInt64
    /// Nil where the old tree does not have the file.
    let old: Place?
    /// Nil where the new tree does not have the file.
    let new: Place?

    /// Another directory or another name, in both trees.
    var isMoved: Bool {
        guard let old, let new else { return false }
        return !old.isSamePlace(as: new)
    }

    /// The same directory and name in both trees.
    var isInPlace: Bool { old != nil && new != nil && !isMoved }

    /// The whole difference of a moved file, of which this and `other` say one place each.
    func joined(with other: EntryDifference) -> EntryDifference {
        EntryDifference(qid: qid, old: old ?? other.old, new: new ?? other.new)
    }
}

/// A block of a file's contents that two trees have differently.
struct BlockDifference {
    /// Counts from the file's begin, in blocks.
    let index: UInt64
    /// Nil for a hole.
    let old: BlockPointer?
    /// Nil for a hole.
    let new: BlockPointer?
}
