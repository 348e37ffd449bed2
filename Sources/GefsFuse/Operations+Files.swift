import CFuse3
import GefsEngine
import Glibc

/// A file that a program has open.
final class OpenFile: OpenHandle {
    let handle: FileHandle
    let appends: Bool
    /// What it is where it is no file of a tree.
    let command: CommandStream?

    init(_ handle: FileHandle, flags: Int32, command: CommandStream? = nil) {
        self.handle = handle
        self.command = command
        appends = flags & O_APPEND != 0
    }
}

/// Contents of files.
extension MountSession {
    static func addFiles(to operations: inout fuse_lowlevel_ops) {
        operations.open = { pointer, identifier, information in
            guard let request = Request(pointer), let information else { return }
            request.open(identifier, information)
        }
        operations.create = { pointer, parent, name, mode, information in
            guard let request = Request(pointer), let name, let information else { return }
            request.create(name, in: parent, mode, information)
        }
        operations.release = { pointer, _, information in
            guard let request = Request(pointer) else { return }
            OpenFile.close(information, of: request.fileSystem)
            request.reply(error: 0)
        }
        operations.read = { pointer, _, size, offset, information in
            guard let request = Request(pointer) else { return }
            request.read(information, size, offset)
        }
        operations.write = { pointer, _, bytes, size, offset, information in
            guard let request = Request(pointer), let bytes else { return }
            request.write(information, UnsafeRawBufferPointer(start: bytes, count: size), offset)
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
            pointer, _, source, from, _, target, to, count, flags in
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

    fileprivate func open(
        _ identifier: fuse_ino_t, _ information: UnsafeMutablePointer<fuse_file_info>
    ) {
        perform { () throws(FileError) -> Void in
            let inode = inode(identifier)
            if inode.virtual != nil { return openCommand(information) }
            let handle = try fileSystem.openUnchecked(inode.handle, OpenMode(.readWrite))
            if information.pointee.flags & O_TRUNC != 0 {
                var changes = PosixChanges()
                changes.length = 0
                do throws(FileError) {
                    _ = try fileSystem.change(handle, changes, as: caller)
                } catch {
                    fileSystem.close(handle)
                    throw error
                }
            }
            let file = OpenFile(handle, flags: information.pointee.flags)
            information.pointee.fh = file.makeIdentifier()
            information.pointee.keep_cache = 1
            if fuse_reply_open(pointer, information) != 0 {
                OpenFile.close(information, of: fileSystem)
            }
        }
    }

    private func openCommand(_ information: UnsafeMutablePointer<fuse_file_info>) {
        perform { () throws(FileError) -> Void in
            let file = OpenFile(
                try fileSystem.attach(MountSession.noLabel, as: caller),
                flags: information.pointee.flags, command: CommandStream(session.perform))
            information.pointee.fh = file.makeIdentifier()
            information.pointee.direct_io = 1
            information.pointee.nonseekable = 1
            if fuse_reply_open(pointer, information) != 0 {
                OpenFile.close(information, of: fileSystem)
            }
        }
    }

    fileprivate func create(
        _ name: UnsafePointer<CChar>, in parent: fuse_ino_t, _ mode: mode_t,
        _ information: UnsafeMutablePointer<fuse_file_info>
    ) {
        perform { () throws(FileError) -> Void in
            let directory = inode(parent).handle
            let creation = try creation(.file, mode, in: directory)
            let (handle, status) = try name.withName {
                (bytes) throws(FileError) -> (FileHandle, PosixStatus) in
                try fileSystem.make(bytes, in: directory, creation, as: caller)
            }
            let file = OpenFile(
                try fileSystem.openUnchecked(handle, OpenMode(.readWrite)),
                flags: information.pointee.flags)
            var entry = session.entry(
                try fileSystem.reference(handle), status, in: inode(parent).place.tree)
            information.pointee.fh = file.makeIdentifier()
            information.pointee.keep_cache = 1
            if fuse_reply_create(pointer, &entry, information) != 0 {
                OpenFile.close(information, of: fileSystem)
                session.inodes.forget(entry.ino, 1)
            }
        }
    }

    fileprivate func read(
        _ information: UnsafeMutablePointer<fuse_file_info>?, _ size: Int, _ offset: off_t
    ) {
        guard let file = OpenFile.of(information), offset >= 0 else { return reply(error: EBADF) }
        if let command = file.command {
            let answer = command.read(atMost: size)
            _ = answer.withUnsafeBytes { bytes in
                fuse_reply_buf(
                    pointer, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count)
            }
            return
        }
        perform { () throws(FileError) -> Void in
            try session.buffers.withBuffer { (buffer) throws(FileError) -> Void in
                let wanted = min(size, MountSession.transferBytesMax)
                let count = try fileSystem.readUnchecked(
                    file.handle, at: UInt64(offset),
                    into: UnsafeMutableRawBufferPointer(start: buffer, count: wanted), as: caller)
                _ = fuse_reply_buf(pointer, buffer.assumingMemoryBound(to: CChar.self), count)
            }
        }
    }

    fileprivate func write(
        _ information: UnsafeMutablePointer<fuse_file_info>?, _ bytes: UnsafeRawBufferPointer,
        _ offset: off_t
    ) {
        guard let file = OpenFile.of(information), offset >= 0 else { return reply(error: EBADF) }
        if let command = file.command {
            guard command.write(bytes) else { return reply(error: EINVAL) }
            fuse_reply_write(pointer, bytes.count)
            return
        }
        perform { () throws(FileError) -> Void in
            let count = try fileSystem.writeUnchecked(
                file.handle, at: UInt64(offset), from: bytes, appends: file.appends, as: caller)
            fuse_reply_write(pointer, count)
        }
    }

    fileprivate func allocate(
        _ identifier: fuse_ino_t, _ mode: Int32, _ offset: off_t, _ length: off_t
    ) {
        guard offset >= 0, length > 0 else { return reply(error: EINVAL) }
        let (end, overflow) = offset.addingReportingOverflow(length)
        guard !overflow else { return reply(error: EFBIG) }
        let range = UInt64(offset)..<UInt64(end)
        let keepsSize = mode & FallocateMode.keepSize != 0
        let handle = inode(identifier).handle
        perform { () throws(FileError) -> Void in
            switch mode & ~FallocateMode.keepSize {
            case 0: break
            case FallocateMode.punchHole where keepsSize, FallocateMode.zeroRange:
                try fileSystem.makeHole(handle, range, as: caller)
            default: return reply(error: EOPNOTSUPP)
            }
            if !keepsSize, try fileSystem.posixStatus(handle).length < range.upperBound {
                var changes = PosixChanges()
                changes.length = range.upperBound
                _ = try fileSystem.change(handle, changes, as: caller)
            }
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
        _ source: off_t, _ from: UnsafeMutablePointer<fuse_file_info>?, _ target: off_t,
        _ to: UnsafeMutablePointer<fuse_file_info>?, _ count: Int, _ flags: Int32
    ) {
        guard let from = OpenFile.of(from), let to = OpenFile.of(to), source >= 0, target >= 0,
            flags == 0
        else { return reply(error: EINVAL) }
        perform { () throws(FileError) -> Void in
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
