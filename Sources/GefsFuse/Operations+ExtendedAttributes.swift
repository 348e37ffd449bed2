import CFuse3
import GefsEngine
import Glibc

/// Extended attributes.
///
/// A volume without the feature `posix` answers ENOSYS: the kernel then tells programs EOPNOTSUPP
/// and asks no more.
extension MountSession {
    static func addExtendedAttributes(to operations: inout fuse_lowlevel_ops) {
        operations.getxattr = { pointer, identifier, name, size in
            guard let request = Request(pointer), let name else { return }
            request.perform { () throws(FileError) -> Void in
                guard request.fileSystem.isPosix else { return request.reply(error: ENOSYS) }
                let value = try request.fileSystem.attribute(
                    name.bytes, of: request.inode(identifier).handle, as: request.caller)
                guard let value else { return request.reply(error: ENODATA) }
                request.reply(value, size)
            }
        }
        operations.listxattr = { pointer, identifier, size in
            guard let request = Request(pointer) else { return }
            request.perform { () throws(FileError) -> Void in
                guard request.fileSystem.isPosix else { return request.reply(error: ENOSYS) }
                let names = try request.fileSystem.attributeNames(
                    of: request.inode(identifier).handle, as: request.caller)
                request.reply(names.flatMap { $0 + [0] }, size)
            }
        }
        operations.setxattr = { pointer, identifier, name, value, size, flags in
            guard let request = Request(pointer), let name else { return }
            let bytes = Array(UnsafeRawBufferPointer(start: value, count: size))
            request.setAttribute(identifier, name.bytes, bytes, flags)
        }
        operations.removexattr = { pointer, identifier, name in
            guard let request = Request(pointer), let name else { return }
            request.setAttribute(identifier, name.bytes, nil, 0)
        }
    }
}

extension Request {
    /// Replies with bytes, or with how many there are where no room is given.
    fileprivate func reply(_ bytes: [UInt8], _ size: Int) {
        if size == 0 {
            fuse_reply_xattr(pointer, bytes.count)
        } else if bytes.count > size {
            reply(error: ERANGE)
        } else {
            reply(bytes)
        }
    }

    /// What names begin with that programs know: others mean nothing to the kernel, which lets them
    /// pass. Source: xattr(7).
    private static let namespaces = ["user.", "trusted.", "security.", "system.posix_acl_"]
        .map { Array($0.utf8) }

    fileprivate func setAttribute(
        _ identifier: fuse_ino_t, _ name: [UInt8], _ value: [UInt8]?, _ flags: Int32
    ) {
        guard Self.namespaces.contains(where: { name.starts(with: $0) }) else {
            return reply(error: EOPNOTSUPP)
        }
        let rule: AttributeRule
        switch flags {
        case 0: rule = .createOrReplace
        case ExtendedAttributeFlags.create: rule = .create
        case ExtendedAttributeFlags.replace: rule = .replace
        default: return reply(error: EINVAL)
        }
        perform { () throws(FileError) -> Void in
            guard fileSystem.isPosix else { return reply(error: ENOSYS) }
            let handle = inode(identifier).handle
            var value = value
            var changes = PosixChanges()
            if name == AccessControlList.access, let bytes = value {
                guard let list = AccessControlList(bytes) else { return reply(error: EINVAL) }
                let mode = PosixMode.permissions(of: try fileSystem.posixStatus(handle).mode)
                changes.permissions = mode & 0o7000 | list.permissions
                // The mode says it all.
                if list.isMinimal { value = nil }
            }
            let isList = name == AccessControlList.access || name == AccessControlList.standard
            if value == nil, isList,
                try fileSystem.attribute(name, of: handle, as: caller) == nil
            {
                // A list that is not there is removed without an error.
                if changes.permissions != nil {
                    _ = try fileSystem.change(handle, changes, as: caller)
                }
            } else {
                _ = try fileSystem.setAttribute(
                    name, of: handle, to: value, rule, changing: changes, as: caller)
            }
            reply(error: 0)
        }
    }

    /// Lets the access control list of a file follow a new mode.
    func followMode(_ status: PosixStatus, _ handle: FileHandle) throws(FileError) -> PosixStatus {
        guard status.hasAttributes,
            let value = try fileSystem.attribute(
                AccessControlList.access, of: handle, as: caller),
            let list = AccessControlList(value)
        else { return status }
        let next = list.with(permissions: PosixMode.permissions(of: status.mode))
        guard next != list else { return status }
        return try fileSystem.setAttribute(
            AccessControlList.access, of: handle, to: next.value, as: caller)
    }

    /// What a new file takes over from the default list of its directory: its permissions and its
    /// attributes. Without such a list the program's umask decides.
    func inheritance(
        _ permissions: UInt32, isDirectory: Bool, umask: UInt32, _ directory: FileHandle,
        _ status: PosixStatus
    ) throws(FileError) -> (permissions: UInt32, attributes: [PosixCreation.Attribute]) {
        guard status.hasAttributes,
            let value = try fileSystem.attribute(
                AccessControlList.standard, of: directory, as: caller),
            let list = AccessControlList(value)
        else { return (permissions & ~umask, []) }
        let own = list.inherited(by: permissions)
        var attributes: [PosixCreation.Attribute] = []
        if !own.isMinimal {
            attributes.append((name: AccessControlList.access, value: own.value))
        }
        if isDirectory {
            attributes.append((name: AccessControlList.standard, value: value))
        }
        return (permissions & ~0o777 | own.permissions, attributes)
    }
}

extension UnsafePointer<CChar> {
    /// The bytes before the zero.
    var bytes: [UInt8] { Array(UnsafeRawBufferPointer(start: self, count: strlen(self))) }
}

/// Flags of setxattr(2).
private enum ExtendedAttributeFlags {
    static let create: Int32 = 1
    static let replace: Int32 = 2
}
