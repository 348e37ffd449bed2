import GefsFormat

extension FileSystem {
    /// Takes a name out of a directory. A file that is open keeps its contents until it is closed.
    ///
    /// - Parameter isDirectory: whether it has to be a directory, which has to be empty (`rmdir`),
    ///   or must be none (`unlink`).
    /// - Throws: `.notFound`, `.isADirectory`, `.notADirectory`, `.directoryNotEmpty`, `.readOnly`.
    public func removeName(
        _ name: UnsafeRawBufferPointer, in directory: FileHandle, isDirectory: Bool,
        as caller: Caller
    ) throws(FileError) {
        let handle = try walk(from: directory, name, as: caller)
        defer { close(handle) }
        guard let node = handle.node, node.parent != nil else { throw .permissionDenied }
        let branch = node.branch
        let isKind = branch.lock.locked { node.isDirectory == isDirectory }
        guard isKind else { throw isDirectory ? .notADirectory : .isADirectory }
        if handle.administrationFile != nil { throw .permissionDenied }
        try branch.waitForClear(node.qidPath, as: caller)
        try removeEntry(of: handle, as: caller)
    }
}
