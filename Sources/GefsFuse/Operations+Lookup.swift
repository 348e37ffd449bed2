import CFuse3
import GefsEngine
import GefsFormat
import Glibc

/// Lookups and attributes.
extension MountSession {
    static func addLookups(to operations: inout fuse_lowlevel_ops) {
        operations.lookup = { pointer, parent, name in
            guard let request = Request(pointer), let name else { return }
            request.lookUp(name, in: parent)
        }
        operations.forget = { pointer, identifier, count in
            guard let request = Request(pointer) else { return }
            request.session.inodes.forget(identifier, count)
            fuse_reply_none(request.pointer)
        }
        operations.forget_multi = { pointer, count, items in
            guard let request = Request(pointer) else { return }
            for item in UnsafeBufferPointer(start: items, count: count) {
                request.session.inodes.forget(item.ino, item.nlookup)
            }
            fuse_reply_none(request.pointer)
        }
        operations.getattr = { pointer, identifier, _ in
            guard let request = Request(pointer) else { return }
            request.perform { () throws(FileError) -> Void in
                let inode = request.inode(identifier)
                if let node = inode.virtual { return request.reply(attributesOf: node, inode) }
                request.reply(
                    attributes: try request.fileSystem.posixStatus(inode.handle), inode)
            }
        }
        operations.setattr = { pointer, identifier, attributes, fields, _ in
            guard let request = Request(pointer), let attributes else { return }
            request.setAttributes(identifier, attributes.pointee, fields)
        }
        operations.readlink = { pointer, identifier in
            guard let request = Request(pointer) else { return }
            request.readLink(identifier)
        }
        operations.statfs = { pointer, _ in
            guard let request = Request(pointer) else { return }
            request.statistics()
        }
    }
}

extension Request {
    fileprivate func lookUp(_ name: UnsafePointer<CChar>, in parent: fuse_ino_t) {
        perform { () throws(FileError) -> Void in
            let directory = inode(parent)
            do throws(FileError) {
                if let node = directory.virtual {
                    return reply(entry: try session.lookUp(name.bytes, in: node))
                }
                let (handle, status) = try name.withName {
                    (bytes) throws(FileError) -> (FileHandle, PosixStatus) in
                    try fileSystem.lookUp(bytes, in: directory.handle, as: caller)
                }
                reply(handle, status, in: directory)
            } catch .notFound {
                if directory === session.root, session.showsControl,
                    name.bytes == VirtualNode.controlName
                {
                    return reply(entry: try session.entry(.control))
                }
                if directory.virtual != nil { return reply(error: ENOENT) }
                // The kernel remembers that there is no such name, until it is told.
                var none = fuse_entry_param()
                none.entry_timeout = session.timeout
                fuse_reply_entry(pointer, &none)
            }
        }
    }

    fileprivate func setAttributes(
        _ identifier: fuse_ino_t, _ attributes: stat, _ fields: Int32
    ) {
        let inode = inode(identifier)
        if let node = inode.virtual {
            // What the shell's `>` asks for.
            guard let command = inode.command, fields & ~FUSE_SET_ATTR_SIZE == 0 else {
                return reply(error: EPERM)
            }
            command.clear()
            return reply(attributesOf: node, inode)
        }
        var changes = PosixChanges()
        func has(_ field: Int32) -> Bool { fields & field != 0 }
        if has(FUSE_SET_ATTR_MODE) { changes.permissions = UInt32(attributes.st_mode) & 0o7777 }
        if has(FUSE_SET_ATTR_UID) {
            guard let owner = session.owners.user(ofHost: attributes.st_uid) else {
                return reply(error: EPERM)
            }
            changes.owner = owner
        }
        if has(FUSE_SET_ATTR_GID) {
            guard let group = session.owners.group(ofHost: attributes.st_gid) else {
                return reply(error: EPERM)
            }
            changes.group = group
        }
        if has(FUSE_SET_ATTR_SIZE) {
            guard attributes.st_size >= 0 else { return reply(error: EINVAL) }
            changes.length = UInt64(attributes.st_size)
        }
        let now = timespec.now.nanoseconds
        if has(FUSE_SET_ATTR_ATIME_NOW) {
            changes.accessTime = now
        } else if has(FUSE_SET_ATTR_ATIME) {
            changes.accessTime = attributes.st_atim.nanoseconds
        }
        if has(FUSE_SET_ATTR_MTIME_NOW) {
            changes.modificationTime = now
        } else if has(FUSE_SET_ATTR_MTIME) {
            changes.modificationTime = attributes.st_mtim.nanoseconds
        }
        changes.clearsSetIDs = RequestFlags.current.contains(.clearsSetIDs)
        perform { () throws(FileError) -> Void in
            if changes.length != nil || changes.owner != nil || changes.group != nil {
                try fileSystem.removeCapability(of: inode.handle, as: caller)
            }
            if session.connection.clearsPrivileges, fields & Self.anything == 0,
                fuse_req_ctx(pointer)?.pointee.uid != 0
            {
                // What the kernel asks before a change that takes rights away. It believes the mode
                // in the reply until it asks again; root may be about a capability only.
                changes.clearsSetIDs = true
            }
            var status = try fileSystem.change(inode.handle, changes, as: caller)
            if changes.permissions != nil { status = try followMode(status, inode.handle) }
            reply(attributes: status, inode)
        }
    }

    /// What a request to change attributes is mostly about.
    private static let anything =
        FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID | FUSE_SET_ATTR_SIZE
        | FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_ATIME_NOW
        | FUSE_SET_ATTR_MTIME_NOW

    fileprivate func readLink(_ identifier: fuse_ino_t) {
        perform { () throws(FileError) -> Void in
            var target = try fileSystem.content(
                of: inode(identifier).handle, atMost: Int(PATH_MAX), as: caller)
            target.append(0)
            target.withUnsafeBytes { bytes in
                guard let base = bytes.baseAddress else { return }
                _ = fuse_reply_readlink(pointer, base.assumingMemoryBound(to: CChar.self))
            }
        }
    }

    fileprivate func statistics() {
        let space = fileSystem.space()
        let block = UInt64(Geometry.blockBytes)
        var result = statvfs()
        result.f_bsize = UInt(block)
        result.f_frsize = UInt(block)
        result.f_blocks = fsblkcnt_t(space.size / block)
        result.f_bavail = fsblkcnt_t(space.available / block)
        result.f_bfree = result.f_bavail
        // Files take what they need: there is no table of them.
        result.f_files = 0
        result.f_ffree = 0
        result.f_namemax = UInt(fileSystem.nameBytesMax)
        fuse_reply_statfs(pointer, &result)
    }
}

extension timespec {
    static var monotonic: timespec {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return time
    }

    static var now: timespec {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return time
    }
}
