import GefsFormat

extension FileSystem {
    /// Removes the file that a handle refers to. The handle stays, and has to be closed.
    ///
    /// Other handles on it may go on reading; its data goes when the last is closed.
    /// - Throws: in the order of SEMANTICS 7: `.removed`, `.locked`, `.directoryNotEmpty`,
    ///   `.permissionDenied`, `.readOnly`.
    public func remove(_ handle: FileHandle, as caller: Caller) throws(FileError) {
        guard let node = handle.node else { throw .permissionDenied }
        let branch = node.branch
        try branch.lock.locked { () throws(FileError) -> Void in
            if node.isRemoved { throw .removed }
            if node.entry.isExclusive, node.handles > 1 { throw .locked }
        }
        if branch.lock.locked({ node.isDirectory }) {
            guard try isEmptyDirectory(node, as: caller) else { throw .directoryNotEmpty }
        }
        let users = self.users
        try branch.lock.locked { () throws(FileError) -> Void in
            try checkRemovable(handle, node, caller, users)
            try branch.checkWritable()
        }
        try removeEntry(of: handle, as: caller)
    }

    /// What `remove` and remove-on-close do once permission is settled.
    func removeEntry(of handle: FileHandle, as caller: Caller) throws(FileError) {
        guard let node = handle.node else { throw .permissionDenied }
        let branch = node.branch
        struct Found {
            var isEmpty = true
            var data = DataKeys()
        }
        try withRoom(caller) { () throws(FileError) -> Void in
            try branch.update { (view: BelowView) throws(FileError) -> Found in
                var found = Found()
                let (isDirectory, mayHaveData) = branch.lock.locked {
                    (
                        node.isDirectory, node.createdAtFreeze != branch.freezeCount
                    )
                }
                if isDirectory {
                    found.isEmpty = try isEmptyDirectory(node, as: caller)
                } else if mayHaveData {
                    found.data = try branch.dataKeysBelow(
                        node.qidPath, from: 0, limit: Branch.inlineClearMax, view,
                        mayBlock: caller.mayBlock)
                }
                return found
            } _: { (found: Found) throws(FileError) -> Void in
                if node.isRemoved { throw .removed }
                guard let parent = node.parent else { throw .permissionDenied }
                guard found.isEmpty, !branch.hasActiveChild(node) else {
                    throw .directoryNotEmpty
                }
                try branch.checkWritable()
                try branch.removeFile(node, in: parent, found.data, as: caller)
            }
        }
    }
}

extension Branch {
    /// Takes a file out of its directory. Lock held; all is checked.
    func removeFile(
        _ node: FileNode, in parent: FileNode, _ data: DataKeys, as caller: Caller
    ) throws(FileError) {
        let qid = node.qidPath
        var needed = promise(forPutting: node.key, valueBytes: 0)
        needed += promise(forPutting: parent.key, valueBytes: DirectoryEntry.byteCount)
        needed += promise(forRemovingData: data.hasMore ? 1 : data.indices.count)
        if node.isDirectory { needed.keys += 1 }
        try take(needed, as: caller, drawsOnReserve: true)
        let key = node.key
        removeKey(key)
        if node.isDirectory { removeKey(Key.up(qid)) }
        node.isRemoved = true
        let isHeldElsewhere = node.handles - node.idleHandles > 1
        let hasData = !data.indices.isEmpty || data.hasMore || clears[qid] != nil
        if isHeldElsewhere, node.entry.length > 0 {
            startClear(qid, from: 0)
        } else {
            dropDirty(qid, from: 0)
            if data.hasMore || clears[qid] != nil {
                startClear(qid, from: 0)
            } else if hasData {
                removeData(qid, data.indices)
            }
        }
        stamp(parent, as: caller)
        put(parent)
        tell(.name(node.name, directory: parent.qidPath), as: caller)
    }
}
