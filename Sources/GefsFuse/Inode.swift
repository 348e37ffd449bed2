import CFuse3
import GefsEngine

/// A file that the kernel refers to, from its first lookup until it forgets it.
final class Inode: @unchecked Sendable {
    let handle: FileHandle
    let qidPath: UInt64
    /// Lookups that the kernel has not forgotten; guarded by the table's lock.
    fileprivate var lookups: UInt64 = 1

    init(handle: FileHandle, qidPath: UInt64) {
        self.handle = handle
        self.qidPath = qidPath
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
    /// lock. By qid path.
    private var inodes: [UInt64: Inode] = [:]
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
    func adopt(_ handle: FileHandle, qidPath: UInt64) -> Inode {
        if qidPath == root.qidPath {
            fileSystem.close(handle)
            return root
        }
        let (inode, isNew) = lock.locked { () -> (Inode, Bool) in
            if let inode = inodes[qidPath] {
                if !inode.handle.isLost {
                    inode.lookups += 1
                    return (inode, false)
                }
                lost[ObjectIdentifier(inode)] = inode
            }
            let inode = Inode(handle: handle, qidPath: qidPath)
            inodes[qidPath] = inode
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
            if inodes[inode.qidPath] === inode { inodes[inode.qidPath] = nil }
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
    func identifier(of qidPath: UInt64) -> fuse_ino_t? {
        if qidPath == root.qidPath { return fuse_ino_t(FUSE_ROOT_ID) }
        return lock.locked { inodes[qidPath]?.identifier }
    }

    /// What the kernel calls the files that it knows.
    var identifiers: [fuse_ino_t] {
        [fuse_ino_t(FUSE_ROOT_ID)] + lock.locked { inodes.values.map(\.identifier) }
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
