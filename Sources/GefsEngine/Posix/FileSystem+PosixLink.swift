import GefsFormat

extension FileSystem {
    /// Gives a file one more name in a directory of the same branch; or its first one, where it was
    /// made without.
    ///
    /// - Returns: a handle on it that only refers to it, and what `stat` tells now.
    /// - Throws: `.unsupported` for a second name unless the disk has the feature `posix`;
    ///   `.permissionDenied` for a directory; `.notFound` for a file that lost its names; `.exists`, `.otherBranch`, `.tooManyLinks`, `.readOnly`, `.volumeFull`.
    public func link(
        _ file: FileHandle, to name: UnsafeRawBufferPointer, in directory: FileHandle,
        as caller: Caller
    ) throws(FileError) -> (FileHandle, PosixStatus) {
        guard let node = file.node, let parent = directory.node else { throw .permissionDenied }
        let branch = node.branch
        let isFirst = branch.lock.locked { node.isUnnamedYet }
        guard volume.isPosix || isFirst else { throw .unsupported }
        try FileName.check(name, isPosix: volume.isPosix)
        guard parent.branch === branch else { throw .otherBranch }
        let place = FilePlace(parent: parent, name: Array(name))
        if isFirst { return try nameFirst(file, node, place, as: caller) }
        return try withRoom(caller) { () throws(FileError) -> (FileHandle, PosixStatus) in
            try branch.update { (view: BelowView) throws(FileError) -> [UInt8]? in
                try branch.valueBelow(place.key, view, mayBlock: caller.mayBlock)
            } _: { (below: [UInt8]?) throws(FileError) -> (FileHandle, PosixStatus) in
                guard !node.isDirectory, !node.isAdministrative else { throw .permissionDenied }
                guard parent.isDirectory else { throw .notADirectory }
                if parent.isRemoved { throw .removed }
                if node.isRemoved { throw .notFound }
                if branch.valueLocked(place.key, below: below) != nil { throw .exists }
                try branch.checkWritable(parent)
                try branch.addName(place, of: node, as: caller)
                node.references += 1
                node.handles += 1
                branch.addUserAgain()
                let handle = FileHandle(
                    self, node: node, parentProtection: Protection(parent.entry))
                handle.place = place
                parent.references += 1
                return (handle, node.posixStatus)
            }
        }
    }
}

extension Branch {
    /// Most names that a file may have.
    private static let linkCountMax: UInt32 = 1_000_000

    /// Gives a file one more name, which is free. Lock held; all is checked.
    fileprivate func addName(
        _ place: FilePlace, of node: FileNode, as caller: Caller
    ) throws(FileError) {
        let count = node.entry.posix?.linkCount ?? 1
        guard count < Self.linkCountMax else { throw .tooManyLinks }
        let qid = node.qidPath
        var needed = promise(forPutting: place.key, valueBytes: LinkRecord.byteCount)
        needed += promise(forPutting: place.link(of: qid), valueBytes: 0)
        needed += promise(forPutting: Key.inode(qid), valueBytes: DirectoryEntry.posixByteCount)
        needed += promise(
            forPutting: place.parent.key, valueBytes: DirectoryEntry.posixByteCount)
        if !node.isLinked { needed += SpacePromise(keys: 2, bytes: 600) }
        try take(needed, as: caller, drawsOnReserve: false)
        node.changeTime = volume.now()
        node.entry.qidVersion &+= 1
        node.entry.posix?.linkCount = count + 1
        let wasLinked = node.isLinked
        if !wasLinked, let parent = node.parent {
            // The entry leaves its directory for a key of its own.
            let first = FilePlace(parent: parent, name: node.name)
            node.isLinked = true
            put(first.key, node.nameValue, isNew: false)
            put(first.link(of: qid), [], isNew: true)
        }
        put(node.entry, node.key, isNew: !wasLinked)
        put(place.key, node.nameValue, isNew: true)
        put(place.link(of: qid), [], isNew: true)
        stamp(place.parent, as: caller)
        put(place.parent)
        tell(.file(qidPath: qid), as: caller)
        tell(.name(place.name, directory: place.parent.qidPath), as: caller)
    }
}
