import GefsFormat

extension FileSystem {
    /// Changes a file's attributes, all or nothing, also of a file without a name that is open.
    ///
    /// When set-id bits are to go is the kernel's to say.
    /// - Throws: `.unknownUser`, `.unknownGroup`, `.negativeLength`, `.isADirectory` for a length,
    ///   `.volumeFull`, `.readOnly`.
    public func change(
        _ handle: FileHandle, _ changes: PosixChanges, as caller: Caller
    ) throws(FileError) -> PosixStatus {
        guard let node = handle.node else { throw .permissionDenied }
        let branch = node.branch
        if let length = changes.length {
            if length > UInt64(Int64.max) { throw .negativeLength }
            let (isDirectory, present) = branch.lock.locked {
                (node.isDirectory, UInt64(bitPattern: node.entry.length))
            }
            if isDirectory { throw .isADirectory }
            if length < present {
                try branch.waitForClear(node.qidPath, as: caller)
            } else {
                try growTail(node, to: length, as: caller)
            }
        }
        return try withRoom(caller) { () throws(FileError) -> PosixStatus in
            try branch.update { (view: BelowView) throws(FileError) -> DataKeys in
                guard let length = changes.length,
                    branch.lock.locked({ length < UInt64(bitPattern: node.entry.length) })
                else { return DataKeys() }
                return try branch.dataKeysBelow(
                    node.qidPath, from: Geometry.blockCount(coveringBytes: length),
                    limit: Branch.inlineClearMax, view, mayBlock: caller.mayBlock)
            } _: { (data: DataKeys) throws(FileError) -> PosixStatus in
                try branch.checkWritable(contentsOf: node)
                try branch.change(node, changes, data, as: caller)
                return node.posixStatus
            }
        }
    }
}

extension Branch {
    /// Makes a change. Lock held; all is checked.
    fileprivate func change(
        _ node: FileNode, _ changes: PosixChanges, _ data: DataKeys, as caller: Caller
    ) throws(FileError) {
        var needed = promise(forPutting: node.key, valueBytes: DirectoryEntry.posixByteCount)
        needed += SpacePromise(keys: 1, bytes: 64)
        let present = UInt64(bitPattern: node.entry.length)
        let length = changes.length.flatMap { changes.isLengthMinimum && $0 < present ? nil : $0 }
        let shrinks = length.map { $0 < present } ?? false
        try take(needed, as: caller, drawsOnReserve: shrinks)
        let now = volume.now()
        if let length {
            if shrinks {
                try shrink(node, to: length, data, as: caller)
            } else {
                node.noteLength(length)
                node.entry.length = Int64(bitPattern: length)
            }
            node.entry.modificationTime = now
        }
        if let permissions = changes.permissions { node.entry.setPermissions(permissions) }
        if changes.clearsSetIDs { node.entry.clearSetIDs() }
        if let owner = changes.owner { node.entry.uid = owner.rawValue }
        if let group = changes.group { node.entry.gid = group.rawValue }
        if let time = changes.accessTime { node.entry.accessTime = time }
        if let time = changes.modificationTime { node.entry.modificationTime = time }
        node.entry.qidVersion &+= 1
        node.changeTime = now
        tell(.file(qidPath: node.qidPath), as: caller)
        putContents(of: node)
    }
}
