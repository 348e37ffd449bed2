import GefsFormat

/// A file of a branch that somebody refers to: the one place of its current metadata.
///
/// Invariants, all under the branch's lock:
/// - `entry` equals what the branch's layers hold for the file's key, until the file is removed.
/// - A node is in its branch's table while `references` > 0 and it is not lost, and holds a reference
///   to its parent.
final class FileNode: @unchecked Sendable {
    let branch: Branch
    let qidPath: UInt64
    /// Nil for a root.
    var parent: FileNode?

    var name: [UInt8]
    var entry: DirectoryEntry
    /// Handles on this node, and child nodes.
    var references = 0
    /// Handles alone.
    var handles = 0
    var isRemoved = false
    /// The file was made without a name, and has not got one: it may. `isRemoved` is set as well.
    var isUnnamedYet = false
    /// The file is in none of the branch's layers, not even its contents: the branch went back to
    /// a state that has it not. `isRemoved` is set as well.
    var isLost = false
    /// While the file has no name.
    var looseAttributes: LooseAttributes = [:]
    /// Its extended attributes, if any, were searched for capabilities, in vain.
    var hasNoCapability = false
    /// Nothing lies beyond the end: no data block, and the last block's rest is zero.
    var hasCleanTail = false
    /// Blocks that are missing as far as the file goes; nil where somebody has to look.
    var holes: HoleMap?
    /// The file has several names, or once had: its entry lies under a key of its own. Then `parent`
    /// and `name` say where it was first found, and each handle where it came from.
    var isLinked: Bool
    /// Change time on a volume whose entries have no place for it.
    private var volatileChangeTime: Int64?
    /// The branch's freeze count when the file was made, while nothing of it can lie below the
    /// active layer; nil for a file that was looked up.
    var createdAtFreeze: UInt64?

    init(
        branch: Branch, parent: FileNode?, name: [UInt8], entry: DirectoryEntry,
        isLinked: Bool = false
    ) {
        self.isLinked = isLinked
        self.branch = branch
        self.parent = parent
        self.name = name
        self.entry = entry
        qidPath = entry.qidPath
        holes = Self.holes(entry)
    }

    /// Lets go of the directories above one by one: they may be more than a stack has room for.
    deinit {
        var ancestor = parent
        parent = nil
        while isKnownUniquelyReferenced(&ancestor) {
            let next = ancestor?.parent
            ancestor?.parent = nil
            ancestor = next
        }
    }

    /// Key of the directory entry.
    var key: Key { isLinked ? Key.inode(qidPath) : Self.nameKey(parent, name) }

    /// Key of a name in a directory; without one, of a root.
    static func nameKey(_ parent: FileNode?, _ name: [UInt8]) -> Key {
        Key.entry(parent: parent?.qidPath ?? .max, name: name)
    }

    /// The value of a key that names the file.
    var nameValue: [UInt8] {
        isLinked
            ? LinkRecord(qidPath: qidPath, kind: PosixBits.unchangeable(of: entry.mode)).encoded()
            : entry.encoded()
    }

    /// When the file was last changed in any way, in nanoseconds since 1970, where that is known.
    var changeTime: Int64? {
        get { entry.posix?.changeTime ?? volatileChangeTime }
        set {
            if let newValue, entry.posix != nil {
                entry.posix?.changeTime = newValue
            } else {
                volatileChangeTime = newValue
            }
        }
    }

    var isDirectory: Bool { entry.isDirectory }

    var qid: Qid {
        Qid(path: entry.qidPath, version: entry.qidVersion, type: entry.qidType)
    }
}
