import GefsFormat

/// What the kernel asks of files: it has checked permissions, and refers to files by handle.
///
/// The rules of 9P do not hold here: modes are kept as they are asked for, and a handle does not
/// change what it refers to. Every operation is seen by others at once and wholly, as those of 9P.
extension FileSystem {
    /// A handle on the entry `name` of a directory, and what `stat` tells of it.
    ///
    /// - Throws: `.notFound`, `.notADirectory`, `.nameTooLong`, `.removed`; errors of reading.
    public func lookUp(
        _ name: UnsafeRawBufferPointer, in directory: FileHandle, as caller: Caller
    ) throws(FileError) -> (FileHandle, PosixStatus) {
        let handle = try walk(from: directory, name, as: caller)
        do throws(FileError) {
            return (handle, try idle(handle))
        } catch {
            close(handle)
            throw error
        }
    }

    /// Makes a handle one that only refers to its file: it does not keep the contents of a file
    /// that loses its name.
    func idle(_ handle: FileHandle) throws(FileError) -> PosixStatus {
        guard let node = handle.node else { throw .notFound }
        return node.branch.lock.locked {
            if !handle.isIdle {
                handle.isIdle = true
                node.idleHandles += 1
            }
            return node.posixStatus
        }
    }

    /// A new file's open handle as one that only refers to it.
    public func reference(_ handle: FileHandle) throws(FileError) -> FileHandle {
        _ = try idle(handle)
        return handle
    }

    /// What `stat` tells of a file, also of one without a name that is still open.
    public func posixStatus(_ handle: FileHandle) throws(FileError) -> PosixStatus {
        guard let node = handle.node else { throw .notFound }
        return try node.branch.lock.locked { () throws(FileError) -> PosixStatus in
            if node.isLost { throw .removed }
            return node.posixStatus
        }
    }

    /// Another handle on the same file, open without a check.
    ///
    /// - Throws: `.removed` where the file has lost its name before anybody had it open.
    public func openUnchecked(
        _ handle: FileHandle, _ mode: OpenMode
    ) throws(FileError) -> FileHandle {
        guard let node = handle.node else { throw .notFound }
        try node.branch.lock.locked { () throws(FileError) -> Void in
            if node.isLost || (node.isRemoved && node.handles == node.idleHandles) {
                throw .removed
            }
            node.references += 1
            node.handles += 1
            node.branch.addUserAgain()
        }
        let opened = FileHandle(self, node: node, parentProtection: nil)
        opened.mode = mode
        return opened
    }

    /// The parent of a directory; of a root itself.
    public func parentStatus(_ handle: FileHandle) throws(FileError) -> PosixStatus {
        guard let node = handle.node else { throw .notFound }
        return node.branch.lock.locked { (node.parent ?? node).posixStatus }
    }
}
