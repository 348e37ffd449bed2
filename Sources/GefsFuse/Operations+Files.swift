import CFuse3
import GefsEngine
import Glibc

/// Contents of files.
///
/// Nothing is to be done when a file is opened or closed: an inode's handle keeps the contents of a
/// file without a name until the kernel forgets it, which is when nobody has it open any more. The
/// kernel does without such requests, and makes files by `mknod`, once it was told so.
extension MountSession {
    static func addFiles(to operations: inout fuse_lowlevel_ops) {
        operations.open = { pointer, _, _ in
            Request(pointer)?.reply(error: ENOSYS)
        }
        operations.read = { pointer, identifier, size, offset, _ in
            guard let request = Request(pointer) else { return }
            request.read(identifier, size, offset)
        }
        operations.write = { pointer, identifier, bytes, size, offset, information in
            guard let request = Request(pointer), let bytes else { return }
            // What a program has changed in a mapping belongs where it was.
            let appends = information.map {
                $0.pointee.flags & O_APPEND != 0 && $0.pointee.writepage == 0
            }
            request.write(
                identifier, UnsafeRawBufferPointer(start: bytes, count: size), offset,
                appends: appends ?? false)
        }
        operations.fsync = { pointer, _, _, _ in
            guard let request = Request(pointer) else { return }
            request.sync()
        }
        operations.fsyncdir = { pointer, _, _, _ in
            guard let request = Request(pointer) else { return }
            request.sync()
        }
        operations.fallocate = { pointer, identifier, mode, offset, length, _ in
            guard let request = Request(pointer) else { return }
            request.allocate(identifier, mode, offset, length)
        }
        operations.lseek = { pointer, identifier, offset, whence, _ in
            guard let request = Request(pointer) else { return }
            request.seek(identifier, offset, whence)
        }
        operations.copy_file_range = {
            pointer, source, from, _, target, to, _, count, flags in
            guard let request = Request(pointer) else { return }
            request.copy(source, from, target, to, count, flags)
        }
    }
}

extension Request {
    fileprivate func sync() {
        perform { () throws(FileError) -> Void in
            try fileSystem.sync(as: caller)
            reply(error: 0)
        }
    }

    fileprivate func read(_ identifier: fuse_ino_t, _ size: Int, _ offset: off_t) {
        let inode = inode(identifier)
        guard offset >= 0 else { return reply(error: EINVAL) }
        if let command = inode.command { return read(command, inode, size, offset) }
        perform { () throws(FileError) -> Void in
            try session.buffers.withBuffer { (buffer) throws(FileError) -> Void in
                let wanted = min(size, MountSession.transferBytesMax)
                let count = try fileSystem.readUnchecked(
                    inode.handle, at: UInt64(offset),
                    into: UnsafeMutableRawBufferPointer(start: buffer, count: wanted), as: caller)
                _ = fuse_reply_buf(pointer, buffer.assumingMemoryBound(to: CChar.self), count)
            }
        }
    }

    private func read(_ command: CommandStream, _ inode: Inode, _ size: Int, _ offset: off_t) {
        reply(command.read(at: Int(offset), atMost: size))
        // What the kernel has of the page ends here; the next answer goes on in it.
        session.forgetContents(of: inode)
    }

    fileprivate func write(
        _ identifier: fuse_ino_t, _ bytes: UnsafeRawBufferPointer, _ offset: off_t, appends: Bool
    ) {
        let inode = inode(identifier)
        guard offset >= 0 else { return reply(error: EINVAL) }
        if let command = inode.command {
            session.settleContents()
            guard command.write(bytes, at: Int(offset)) else { return reply(error: EINVAL) }
            fuse_reply_write(pointer, bytes.count)
            return
        }
        perform { () throws(FileError) -> Void in
            try fileSystem.removeCapability(of: inode.handle, as: caller)
            let count = try fileSystem.writeUnchecked(
                inode.handle, at: UInt64(offset), from: bytes, appends: appends,
                clearsSetIDs: RequestFlags.current.contains(.clearsSetIDs), as: caller)
            fuse_reply_write(pointer, count)
        }
    }

    fileprivate func allocate(
        _ identifier: fuse_ino_t, _ mode: Int32, _ offset: off_t, _ length: off_t
    ) {
        guard offset >= 0, length > 0 else { return reply(error: EINVAL) }
        let (end, overflow) = offset.addingReportingOverflow(length)
        guard !overflow else { return reply(error: EFBIG) }
        let keepsSize = mode & FallocateMode.keepSize != 0
        let kind: Allocation
        switch mode & ~FallocateMode.keepSize {
        case 0: kind = .room
        case FallocateMode.punchHole where keepsSize: kind = .hole
        case FallocateMode.zeroRange: kind = .zeros
        // Ranges that come and go are refused by the kernel already.
        default: return reply(error: EOPNOTSUPP)
        }
        perform { () throws(FileError) -> Void in
            try fileSystem.removeCapability(of: inode(identifier).handle, as: caller)
            try fileSystem.allocate(
                inode(identifier).handle, UInt64(offset)..<UInt64(end), kind,
                extends: !keepsSize, as: caller)
            reply(error: 0)
        }
    }

    fileprivate func seek(_ identifier: fuse_ino_t, _ offset: off_t, _ whence: Int32) {
        let extent: Extent
        switch whence {
        case SeekWhence.data: extent = .data
        case SeekWhence.hole: extent = .hole
        default: return reply(error: EINVAL)
        }
        guard offset >= 0 else { return reply(error: ENXIO) }
        perform { () throws(FileError) -> Void in
            guard
                let found = try fileSystem.seek(
                    inode(identifier).handle, to: extent, from: UInt64(offset), as: caller)
            else { return reply(error: ENXIO) }
            fuse_reply_lseek(pointer, off_t(found))
        }
    }

    fileprivate func copy(
        _ from: fuse_ino_t, _ source: off_t, _ to: fuse_ino_t, _ target: off_t, _ count: Int,
        _ flags: Int32
    ) {
        let (from, to) = (inode(from), inode(to))
        guard from.virtual == nil, to.virtual == nil, source >= 0, target >= 0, flags == 0 else {
            return reply(error: EINVAL)
        }
        perform { () throws(FileError) -> Void in
            try fileSystem.removeCapability(of: to.handle, as: caller)
            try session.buffers.withBuffer { (buffer) throws(FileError) -> Void in
                var done = 0
                // A long copy is answered in parts, so that it can be interrupted.
                let limit = min(count, 16 * MountSession.transferBytesMax)
                while done < limit {
                    let wanted = min(limit - done, MountSession.transferBytesMax)
                    let found = try fileSystem.readUnchecked(
                        from.handle, at: UInt64(source) + UInt64(done),
                        into: UnsafeMutableRawBufferPointer(start: buffer, count: wanted),
                        as: caller)
                    guard found > 0 else { break }
                    _ = try fileSystem.writeUnchecked(
                        to.handle, at: UInt64(target) + UInt64(done),
                        from: UnsafeRawBufferPointer(start: buffer, count: found), as: caller)
                    done += found
                }
                fuse_reply_write(pointer, done)
            }
        }
    }
}

/// Modes of fallocate(2).
private enum FallocateMode {
    static let keepSize: Int32 = 0x01
    static let punchHole: Int32 = 0x02
    static let zeroRange: Int32 = 0x10
}

/// What lseek(2) can look for.
private enum SeekWhence {
    static let data: Int32 = 3
    static let hole: Int32 = 4
}
