import CFuse3
import GefsEngine

/// Which tree an inode is in, and its number there: numbers are unique in one tree only.
struct InodePlace: Hashable, Sendable {
    /// 0: the tree that is mounted.
    var tree: UInt32
    var qidPath: UInt64

    /// Of what is in no tree.
    static func virtual(_ node: VirtualNode) -> InodePlace {
        InodePlace(tree: .max, qidPath: node.rawValue)
    }

    /// Of a file `ctl` that was looked up, by its number.
    static func conversation(_ number: UInt64) -> InodePlace {
        InodePlace(tree: .max - 1, qidPath: number)
    }
}

/// A file that the kernel refers to, from its first lookup until it forgets it.
final class Inode: @unchecked Sendable {
    let handle: FileHandle
    let place: InodePlace
    /// What it is where it is in no tree; `handle` is of no use then.
    let virtual: VirtualNode?
    /// The conversation of a `ctl`.
    let command: CommandStream?
    /// Lookups that the kernel has not forgotten; guarded by the table's lock.
    fileprivate var lookups: UInt64 = 1

    init(
        handle: FileHandle, at place: InodePlace, virtual: VirtualNode? = nil,
        command: CommandStream? = nil
    ) {
        self.handle = handle
        self.place = place
        self.virtual = virtual
        self.command = command
    }

    /// What the kernel calls it.
    var identifier: fuse_ino_t {
        fuse_ino_t(UInt(bitPattern: Unmanaged.passUnretained(self).toOpaque()))
    }
}

/// All files that the kernel refers to.
///
/// Invariants: a file has one inode at a time that is not lost; an inode lives while the kernel's
/// lookups of it are not all forgotten, and is retained once for them.
final class InodeTable: @unchecked Sendable {
    private let fileSystem: FileSystem
    private let root: Inode
    private let lock = Lock()
    /// lock.
    private var inodes: [InodePlace: Inode] = [:]
    /// lock. Inodes that the kernel still refers to, but whose files are gone from the branch.
    private var lost: [ObjectIdentifier: Inode] = [:]

    init(_ fileSystem: FileSystem, root: Inode) {
        self.fileSystem = fileSystem
        self.root = root
    }

    /// The inode of that number.
    func inode(_ identifier: fuse_ino_t) -> Inode {
        guard identifier != FUSE_ROOT_ID,
            let pointer = UnsafeRawPointer(bitPattern: UInt(identifier))
        else { return root }
        return Unmanaged<Inode>.fromOpaque(pointer).takeUnretainedValue()
    }

    /// The inode of a file that was looked up once more; takes the handle over.
    func adopt(
        _ handle: FileHandle, at place: InodePlace, virtual: VirtualNode? = nil,
        command: CommandStream? = nil
    ) -> Inode {
        if place == root.place {
            fileSystem.close(handle)
            return root
        }
        let (inode, isNew) = lock.locked { () -> (Inode, Bool) in
            if let inode = inodes[place] {
                if !inode.handle.isLost {
                    inode.lookups += 1
                    return (inode, false)
                }
                lost[ObjectIdentifier(inode)] = inode
            }
            let inode = Inode(handle: handle, at: place, virtual: virtual, command: command)
            inodes[place] = inode
            _ = Unmanaged.passRetained(inode)
            return (inode, true)
        }
        if !isNew { fileSystem.close(handle) }
        return inode
    }

    /// The kernel forgets so many lookups.
    func forget(_ identifier: fuse_ino_t, _ count: UInt64) {
        guard identifier != FUSE_ROOT_ID else { return }
        let inode = inode(identifier)
        let isLast = lock.locked { () -> Bool in
            guard inode.lookups > 0 else { return false }
            inode.lookups -= min(count, inode.lookups)
            guard inode.lookups == 0 else { return false }
            if inodes[inode.place] === inode { inodes[inode.place] = nil }
            lost[ObjectIdentifier(inode)] = nil
            return true
        }
        if isLast { letGo(inode) }
    }

    private func letGo(_ inode: Inode) {
        fileSystem.close(inode.handle)
        Unmanaged.passUnretained(inode).release()
    }

    /// What the kernel calls the file, where it knows it.
    func identifier(of place: InodePlace) -> fuse_ino_t? {
        if place == root.place { return fuse_ino_t(FUSE_ROOT_ID) }
        return lock.locked { inodes[place]?.identifier }
    }

    /// What the kernel calls the files of a tree that it knows.
    func identifiers(in tree: UInt32) -> [fuse_ino_t] {
        let found = lock.locked {
            inodes.values.filter { $0.place.tree == tree }.map(\.identifier)
        }
        return root.place.tree == tree ? [fuse_ino_t(FUSE_ROOT_ID)] + found : found
    }

    /// Handles on the files of a tree that the kernel knows.
    func handles(in tree: UInt32) -> [FileHandle] {
        lock.locked { inodes.values.filter { $0.place.tree == tree }.map(\.handle) }
    }

    /// Gives everything back; the kernel asks no more.
    func close() {
        let all = lock.locked { () -> [Inode] in
            defer { (inodes, lost) = ([:], [:]) }
            return Array(inodes.values) + lost.values
        }
        for inode in all { letGo(inode) }
        fileSystem.close(root.handle)
    }
}
