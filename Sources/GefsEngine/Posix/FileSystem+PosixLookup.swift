import GefsFormat

/// What the kernel asks of files: it has checked permissions, and refers to files by handle.
///
/// The rules of 9P do not hold here: modes are kept as they are asked for, and a handle does not
/// change what it refers to: a file that loses its last name keeps its contents until the last handle
/// on it is closed. Every operation is seen by others at once and wholly, as those of 9P.
extension FileSystem {
    /// A handle on the entry `name` of a directory, and what `stat` tells of it.
    ///
    /// - Throws: `.notFound`, `.notADirectory`, `.nameTooLong`, `.removed`; errors of reading.
    public func lookUp(
        _ name: UnsafeRawBufferPointer, in directory: FileHandle, as caller: Caller
    ) throws(FileError) -> (FileHandle, PosixStatus) {
        let handle = try walk(from: directory, name, as: caller)
        do throws(FileError) {
            return (handle, try posixStatus(handle))
        } catch {
            close(handle)
            throw error
        }
    }

    /// What `stat` tells of a file, also of one without a name that is still open.
    ///
    /// Looks for the holes of a file that may have some, once.
    public func posixStatus(_ handle: FileHandle) throws(FileError) -> PosixStatus {
        guard let node = handle.node else { throw .notFound }
        let status = try status(of: node)
        if status.allocatedBytes != nil { return status }
        do throws(FileError) {
            try node.branch.findHoles(of: node)
        } catch .removed {
            throw .removed
        } catch {
            // Somebody who only looks is not kept from that by a block that cannot be read.
            return status
        }
        return try self.status(of: node)
    }

    private func status(of node: FileNode) throws(FileError) -> PosixStatus {
        try node.branch.lock.locked { () throws(FileError) -> PosixStatus in
            if node.isLost { throw .removed }
            return node.posixStatus
        }
    }

    /// Another handle on the same file.
    ///
    /// - Throws: `.removed` where the branch has gone back to a state without it.
    public func reference(_ handle: FileHandle) throws(FileError) -> FileHandle {
        guard let node = handle.node else { throw .notFound }
        try node.branch.lock.locked { () throws(FileError) -> Void in
            if node.isLost { throw .removed }
            node.references += 1
            node.handles += 1
            node.branch.addUserAgain()
        }
        return FileHandle(self, node: node, parentProtection: nil)
    }

    /// The parent of a directory; of a root itself.
    public func parentStatus(_ handle: FileHandle) throws(FileError) -> PosixStatus {
        guard let node = handle.node else { throw .notFound }
        return node.branch.lock.locked { (node.parent ?? node).posixStatus }
    }
}
