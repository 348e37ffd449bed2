import CFuse3
import GefsEngine

/// A file that the kernel refers to, from its first lookup until it forgets it.
final class Inode: Sendable {
    let handle: FileHandle
    let qidPath: UInt64

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
/// Invariants: a file has one inode at a time; an inode lives while the kernel's lookups of it are
/// not all forgotten, and is retained once for them.
final class InodeTable: @unchecked Sendable {
    private struct Slot {
        let inode: Inode
        var lookups: UInt64
    }

    private let fileSystem: FileSystem
    private let root: Inode
    private let lock = Lock()
    /// lock. By qid path.
    private var slots: [UInt64: Slot] = [:]

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
            if let slot = slots[qidPath] {
                slots[qidPath]?.lookups = slot.lookups + 1
                return (slot.inode, false)
            }
            let inode = Inode(handle: handle, qidPath: qidPath)
            slots[qidPath] = Slot(inode: inode, lookups: 1)
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
            guard let slot = slots[inode.qidPath] else { return false }
            guard slot.lookups > count else {
                slots[inode.qidPath] = nil
                return true
            }
            slots[inode.qidPath]?.lookups = slot.lookups - count
            return false
        }
        guard isLast else { return }
        fileSystem.close(inode.handle)
        Unmanaged.passUnretained(inode).release()
    }

    /// What the kernel calls the file, where it knows it.
    func identifier(of qidPath: UInt64) -> fuse_ino_t? {
        if qidPath == root.qidPath { return fuse_ino_t(FUSE_ROOT_ID) }
        return lock.locked { slots[qidPath]?.inode.identifier }
    }

    /// What the kernel calls the files that it knows.
    var identifiers: [fuse_ino_t] {
        [fuse_ino_t(FUSE_ROOT_ID)] + lock.locked { slots.values.map { $0.inode.identifier } }
    }

    /// Gives everything back; the kernel asks no more.
    func close() {
        let all = lock.locked { () -> [Inode] in
            let inodes = slots.values.map { $0.inode }
            slots = [:]
            return inodes
        }
        for inode in all {
            fileSystem.close(inode.handle)
            Unmanaged.passUnretained(inode).release()
        }
        fileSystem.close(root.handle)
    }
}
