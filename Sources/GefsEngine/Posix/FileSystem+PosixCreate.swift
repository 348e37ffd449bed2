import GefsFormat

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

extension FileSystem {
    /// Makes a file of any kind in a directory, with its content, wholly or not at all.
    ///
    /// - Returns: a handle on it.
    /// - Throws: `.exists`, `.removed` for a directory without a name, `.badName`, `.nameTooLong`,
    ///   `.volumeFull`, `.readOnly`.
    public func make(
        _ name: UnsafeRawBufferPointer, in directory: FileHandle, _ creation: PosixCreation,
        as caller: Caller
    ) throws(FileError) -> (FileHandle, PosixStatus) {
        try FileName.check(name, isPosix: volume.isPosix)
        guard let parent = directory.node else { throw .permissionDenied }
        guard creation.content.count <= Geometry.blockBytes else { throw .fileTooBig }
        let branch = parent.branch
        let key = Key.entry(parent: parent.qidPath, name: name)
        let (node, status) = try withRoom(caller) {
            () throws(FileError) -> (FileNode, PosixStatus) in
            try branch.update { (view: BelowView) throws(FileError) -> [UInt8]? in
                try branch.valueBelow(key, view, mayBlock: caller.mayBlock)
            } _: { (below: [UInt8]?) throws(FileError) -> (FileNode, PosixStatus) in
                if parent.isRemoved { throw .removed }
                guard parent.isDirectory else { throw .notADirectory }
                if branch.valueLocked(key, below: below) != nil { throw .exists }
                try branch.checkWritable(parent)
                let node = try branch.addFile(in: parent, key, name, creation, as: caller)
                branch.addUserAgain()
                return (node, node.posixStatus)
            }
        }
        return (FileHandle(self, node: node, parentProtection: nil), status)
    }
}

extension Branch {
    /// Adds a file of this very mode, with one reference and handle. Lock held; all is checked.
    func addFile(
        in directory: FileNode, _ key: Key, _ name: UnsafeRawBufferPointer,
        _ creation: PosixCreation, as caller: Caller
    ) throws(FileError) -> FileNode {
        let isDirectory = creation.mode & ModeBits.directory != 0
        var needed = promise(forPutting: key, valueBytes: DirectoryEntry.posixByteCount)
        needed += promise(forPutting: directory.key, valueBytes: DirectoryEntry.posixByteCount)
        if isDirectory { needed += SpacePromise(keys: 1, bytes: 32 + key.bytes.count) }
        if !creation.content.isEmpty {
            needed += SpacePromise(dataBlocks: 1)
            needed += SpacePromise(keys: 1, bytes: Key.dataRecordBytes)
        }
        for attribute in creation.attributes {
            needed += SpacePromise(
                keys: 1 + attribute.value.count / AttributeKeyView.partBytes,
                bytes: 400 + 2 * attribute.value.count)
        }
        try take(needed, as: caller, drawsOnReserve: false)
        let qid = try volume.nextQid()
        let now = volume.now()
        var entry = DirectoryEntry(
            qidPath: qid, qidVersion: 0, mode: creation.mode, accessTime: now,
            modificationTime: now, length: Int64(creation.content.count),
            uid: creation.owner.rawValue, gid: creation.group.rawValue,
            muid: caller.user.rawValue, posix: posixPart(at: now))
        if !creation.content.isEmpty {
            let buffer = volume.newBuffer()
            buffer.clear(from: 0)
            creation.content.withUnsafeBytes { bytes in
                guard let base = bytes.baseAddress else { return }
                memcpy(buffer.base, base, bytes.count)
            }
            dirty.insert(buffer, qid, 0)
        }
        if isDirectory { entry.posix?.linkCount = 2 }
        for attribute in creation.attributes where entry.posix != nil {
            putAttribute(attribute.name, of: qid, attribute.value)
            entry.posix?.hasAttributes = true
        }
        put(entry, key, isNew: true)
        if isDirectory {
            put(Key.up(qid), key.bytes, isNew: true)
            directory.entry.countDirectories(1)
        }
        stamp(directory, as: caller)
        put(directory)
        tell(.name(Array(name), directory: directory.qidPath), as: caller)
        let node = adopt(entry, name: Array(name), parent: directory)
        node.handles += 1
        node.createdAtFreeze = freezeCount
        node.hasCleanTail = true
        node.changeTime = now
        return node
    }
}
