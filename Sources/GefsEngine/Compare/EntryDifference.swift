import GefsFormat

/// What became of one file from one tree to another: its directory entry and where it is.
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
