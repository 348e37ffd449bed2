import CFuse3
import GefsEngine
import Glibc

/// One request of the kernel. It is replied to exactly once.
struct Request {
    let pointer: fuse_req_t
    let session: MountSession

    /// - Parameter pointer: nil never comes from libfuse.
    init?(_ pointer: fuse_req_t?) {
        guard let pointer, let data = fuse_req_userdata(pointer) else { return nil }
        self.pointer = pointer
        session = Unmanaged<MountSession>.fromOpaque(data).takeUnretainedValue()
    }

    var fileSystem: FileSystem { session.fileSystem }
    var caller: Caller { session.caller }

    func inode(_ identifier: fuse_ino_t) -> Inode { session.inodes.inode(identifier) }

    func reply(error: Int32) {
        fuse_reply_err(pointer, error)
    }

    func reply(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { raw in
            _ = fuse_reply_buf(
                pointer, raw.baseAddress?.assumingMemoryBound(to: CChar.self), raw.count)
        }
    }

    /// Replies with what `body` throws, and not at all where it returns: it has replied itself.
    func perform(_ body: () throws(FileError) -> Void) {
        do throws(FileError) {
            try body()
        } catch {
            session.note(error)
            reply(error: error.errno)
        }
    }

    /// Replies with a file that was found or made in a directory. Takes the handle over.
    func reply(_ handle: FileHandle, _ status: PosixStatus, in directory: Inode) {
        reply(entry: session.entry(handle, status, in: directory.place.tree))
    }

    func reply(entry: fuse_entry_param) {
        var entry = entry
        if fuse_reply_entry(pointer, &entry) != 0 {
            // The kernel has not got it, and will not forget it.
            session.inodes.forget(entry.ino, 1)
        }
    }

    func reply(attributesOf node: VirtualNode, _ inode: Inode) {
        var (attributes, timeout) = session.attributes(node, inode)
        fuse_reply_attr(pointer, &attributes, timeout)
    }

    func reply(attributes status: PosixStatus, _ inode: Inode) {
        var attributes = session.attributes(
            session.completed(status, inode.handle), inode.handle, in: inode.place.tree)
        fuse_reply_attr(pointer, &attributes, session.timeout)
    }
}

extension UnsafePointer<CChar> {
    /// The bytes of a name, without the zero behind them.
    func withName<Result>(
        _ body: (UnsafeRawBufferPointer) throws(FileError) -> Result
    ) throws(FileError) -> Result {
        try body(UnsafeRawBufferPointer(start: self, count: strlen(self)))
    }
}
