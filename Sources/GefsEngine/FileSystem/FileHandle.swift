import GefsFormat

/// What a 9P fid refers to: a file, and how it is open.
///
/// Made by `attach`, `walk` and `clone`; given back exactly once with `FileSystem.close`.
/// Safe to use from several threads at once; `create`, `open`, `remove` and `close` of one handle
/// are for the front end to put in order.
public final class FileHandle: @unchecked Sendable {
    /// Nil for the dump directory.
    var node: FileNode?
    /// What the parent allowed when the handle was walked to. Source: SEMANTICS 3.
    var parentProtection: Protection?
    let fileSystem: FileSystem
    /// Which of several names the handle came by; nil where the file's node knows. Holds a reference
    /// to the directory. Guarded by the branch's lock.
    var place: FilePlace?

    /// Guards what follows; never held together with a branch's lock, but for taking that inside.
    let lock = Lock()
    var mode: OpenMode?
    var isClosed = false
    var listing = DirectoryListing()

    init(_ fileSystem: FileSystem, node: FileNode?, parentProtection: Protection?) {
        self.fileSystem = fileSystem
        self.node = node
        self.parentProtection = parentProtection
    }

    /// Whether this is the directory of all labels.
    public var isDump: Bool { node == nil }

    /// How the handle is open; nil where it is not.
    public var openMode: OpenMode? { lock.locked { mode } }

    public var isOpen: Bool { openMode != nil }

    /// Whether closing the handle removes the file.
    public var removesOnClose: Bool { openMode?.removesOnClose ?? false }

    /// Whether the file's tree can be changed: it is a branch's, and no snapshot's.
    public var isMutable: Bool { node?.branch.isMutable ?? false }

    public var isDirectory: Bool { node?.isDirectory ?? true }

    /// Present identity of the file.
    public var qid: Qid {
        guard let node else { return Qid(path: Dump.qidPath, version: 0, type: 0x80) }
        return node.branch.lock.locked { node.qid }
    }
}

/// Where a directory read goes on.
struct DirectoryListing {
    /// Sum of the bytes returned so far: the only offset, but 0, that is accepted.
    var offset: UInt64 = 0
    /// Key of the last entry returned.
    var lastKey: [UInt8]?
    /// The dump directory's next label.
    var lastLabel: [UInt8]?
}

/// A name in a directory.
struct FilePlace {
    let parent: FileNode
    let name: [UInt8]

    var key: Key { FileNode.nameKey(parent, name) }

    /// The way back to it from a file that has several names.
    func link(of qid: UInt64) -> Key { Key.link(qid, parent: parent.qidPath, name: name) }
}

extension FileHandle {
    /// The name that the handle stands for; nil for a root. The branch's lock is held.
    var currentPlace: FilePlace? {
        if let place { return place }
        guard let node, let parent = node.parent else { return nil }
        return FilePlace(parent: parent, name: node.name)
    }
}
