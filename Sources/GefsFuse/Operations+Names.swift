import CFuse3
import GefsEngine
import GefsFormat
import Glibc

/// What makes, moves and removes names.
extension MountSession {
    static func addNames(to operations: inout fuse_lowlevel_ops) {
        operations.mknod = { pointer, parent, name, mode, device in
            guard let request = Request(pointer), let name else { return }
            request.makeNode(name, in: parent, mode, device)
        }
        operations.create = { pointer, parent, name, mode, information in
            guard let request = Request(pointer), let name, let information else { return }
            // Others are made by mknod, once the kernel was told so.
            guard name.bytes == KernelInterface.namelessName else {
                return request.reply(error: ENOSYS)
            }
            request.makeNameless(in: parent, mode, information)
        }
        operations.mkdir = { pointer, parent, name, mode in
            guard let request = Request(pointer), let name else { return }
            request.make(name, in: parent, .directory, mode)
        }
        operations.symlink = { pointer, target, parent, name in
            guard let request = Request(pointer), let name, let target else { return }
            request.make(
                name, in: parent, .symbolicLink, 0o777,
                content: Array(UnsafeRawBufferPointer(start: target, count: strlen(target))))
        }
        operations.unlink = { pointer, parent, name in
            guard let request = Request(pointer), let name else { return }
            request.remove(name, in: parent, isDirectory: false)
        }
        operations.rmdir = { pointer, parent, name in
            guard let request = Request(pointer), let name else { return }
            request.remove(name, in: parent, isDirectory: true)
        }
        operations.rename = { pointer, parent, name, newParent, newName, flags in
            guard let request = Request(pointer), let name, let newName else { return }
            request.rename(name, in: parent, to: newName, in: newParent, flags)
        }
        operations.link = { pointer, identifier, parent, name in
            guard let request = Request(pointer), let name else { return }
            request.link(identifier, to: name, in: parent)
        }
    }
}

extension Request {
    fileprivate func makeNode(
        _ name: UnsafePointer<CChar>, in parent: fuse_ino_t, _ mode: mode_t, _ device: dev_t
    ) {
        let kind: FileKind
        var content: [UInt8] = []
        switch mode & S_IFMT {
        case S_IFREG, 0: kind = .file
        case S_IFIFO: kind = .fifo
        case S_IFSOCK: kind = .socket
        case S_IFBLK, S_IFCHR:
            kind = mode & S_IFMT == S_IFBLK ? .blockDevice : .characterDevice
            content =
                MountSession.deviceNumbers(device, isBlockDevice: kind == .blockDevice).content
        default: return reply(error: EINVAL)
        }
        make(name, in: parent, kind, mode, content: content)
    }

    fileprivate func link(
        _ identifier: fuse_ino_t, to name: UnsafePointer<CChar>, in parent: fuse_ino_t
    ) {
        perform { () throws(FileError) -> Void in
            do throws(FileError) {
                let (handle, status) = try name.withName {
                    (bytes) throws(FileError) -> (FileHandle, PosixStatus) in
                    try fileSystem.link(
                        inode(identifier).handle, to: bytes, in: inode(parent).handle, as: caller)
                }
                reply(handle, status, in: inode(parent))
            } catch .unsupported {
                // What link(2) says of file systems without hard links.
                reply(error: EPERM)
            }
        }
    }

    /// Makes a file without a name. Whether it may get one is the kernel's to know.
    fileprivate func makeNameless(
        in parent: fuse_ino_t, _ mode: mode_t, _ information: UnsafeMutablePointer<fuse_file_info>
    ) {
        perform { () throws(FileError) -> Void in
            let directory = inode(parent)
            let creation = try creation(.file, mode, in: directory.handle)
            let (handle, status) = try fileSystem.makeNameless(
                in: directory.handle, creation, as: caller)
            var entry = session.entry(handle, status, in: directory.place.tree)
            if fuse_reply_create(pointer, &entry, information) != 0 {
                session.inodes.forget(entry.ino, 1)
            }
        }
    }

    /// Who a new file belongs to, and its mode: a directory's group and set-group bit, and its
    /// default access control list, go on to what is made in it.
    func creation(
        _ kind: FileKind, _ mode: mode_t, in parent: FileHandle, content: [UInt8] = []
    ) throws(FileError) -> PosixCreation {
        let directory = try fileSystem.posixStatus(parent)
        let context = fuse_req_ctx(pointer)
        var permissions = UInt32(mode) & 0o7777
        var attributes: [PosixCreation.Attribute] = []
        if fileSystem.isPosix, kind != .symbolicLink {
            (permissions, attributes) = try inheritance(
                permissions, isDirectory: kind == .directory,
                umask: UInt32(context?.pointee.umask ?? 0), parent, directory)
        }
        let users = fileSystem.users
        let owner = context.flatMap { session.owners.user(ofHost: $0.pointee.uid) } ?? users.none
        var group = context.flatMap { session.owners.group(ofHost: $0.pointee.gid) } ?? users.none
        if PosixMode.permissions(of: directory.mode) & 0o2000 != 0 {
            group = directory.group
            if kind == .directory { permissions |= 0o2000 }
        }
        var creation = PosixCreation(
            mode: PosixMode.entryBits(kind: kind) | PosixMode.entryBits(permissions: permissions),
            owner: owner, group: group, content: content)
        creation.attributes = attributes
        return creation
    }

    fileprivate func make(
        _ name: UnsafePointer<CChar>, in parent: fuse_ino_t, _ kind: FileKind, _ mode: mode_t,
        content: [UInt8] = []
    ) {
        perform { () throws(FileError) -> Void in
            let directory = inode(parent).handle
            let creation = try creation(kind, mode, in: directory, content: content)
            let (handle, status) = try name.withName {
                (bytes) throws(FileError) -> (FileHandle, PosixStatus) in
                try fileSystem.make(bytes, in: directory, creation, as: caller)
            }
            reply(handle, status, in: inode(parent))
        }
    }

    fileprivate func remove(
        _ name: UnsafePointer<CChar>, in parent: fuse_ino_t, isDirectory: Bool
    ) {
        perform { () throws(FileError) -> Void in
            try name.withName { (bytes) throws(FileError) -> Void in
                try fileSystem.removeName(
                    bytes, in: inode(parent).handle, isDirectory: isDirectory, as: caller)
            }
            reply(error: 0)
        }
    }

    fileprivate func rename(
        _ name: UnsafePointer<CChar>, in parent: fuse_ino_t, to newName: UnsafePointer<CChar>,
        in newParent: fuse_ino_t, _ flags: UInt32
    ) {
        let rule: RenameRule
        switch flags {
        case 0: rule = .replace
        case RenameFlags.noReplace: rule = .keep
        case RenameFlags.exchange: rule = .exchange
        default: return reply(error: EINVAL)
        }
        perform { () throws(FileError) -> Void in
            try name.withName { (old) throws(FileError) -> Void in
                try newName.withName { (new) throws(FileError) -> Void in
                    try fileSystem.rename(
                        old, in: inode(parent).handle, to: new, in: inode(newParent).handle, rule,
                        as: caller)
                }
            }
            reply(error: 0)
        }
    }
}

/// Flags of renameat2(2).
private enum RenameFlags {
    static let noReplace: UInt32 = 1
    static let exchange: UInt32 = 2
}
