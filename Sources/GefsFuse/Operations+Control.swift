import CFuse3
import GefsEngine
import Glibc

/// What programs can ask of an open file's branch with ioctl(2): a name of up to 255 bytes, with
/// zeros behind it, in a buffer of 256. Source: Docs/CLI.md, "Mounting".
private enum ControlCode {
    /// `_IOW('g', 1, char[256])`: a snapshot of that name of what the branch is now; durable on return.
    static let snapshot: UInt32 = 0x4100_6701
    /// `_IOW('g', 2, char[256])`: a branch of that name that begins so.
    static let fork: UInt32 = 0x4100_6702
}

extension MountSession {
    static func addControl(to operations: inout fuse_lowlevel_ops) {
        operations.ioctl = { pointer, identifier, code, _, _, _, bytes, size, _ in
            guard let request = Request(pointer) else { return }
            request.control(
                identifier, UInt32(code), UnsafeRawBufferPointer(start: bytes, count: size))
        }
    }
}

extension Request {
    fileprivate func control(
        _ identifier: fuse_ino_t, _ code: UInt32, _ bytes: UnsafeRawBufferPointer
    ) {
        guard code == ControlCode.snapshot || code == ControlCode.fork else {
            return reply(error: ENOTTY)
        }
        // Labels are the affair of whoever mounts.
        let user = fuse_req_ctx(pointer)?.pointee.uid
        guard user == 0 || user == geteuid() else { return reply(error: EPERM) }
        let inode = inode(identifier)
        guard inode.virtual == nil, let end = bytes.firstIndex(of: 0) else {
            return reply(error: EINVAL)
        }
        let name = Array(bytes[..<end])
        perform { () throws(FileError) -> Void in
            let label = inode.handle.label
            try fileSystem.change(
                [
                    code == ControlCode.fork
                        ? .fork(of: label, as: name) : .snapshot(of: label, as: name)
                ], as: caller)
            fuse_reply_ioctl(pointer, 0, nil, 0)
        }
    }
}
