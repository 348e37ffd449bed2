import GefsFormat

/// Files that are made without a name, and may get one: `O_TMPFILE`.
///
/// Such a file is what is left of one that has lost its name: it is in memory, its data is under a
/// clear record, and all of it is gone with the last handle, or after a crash.
extension FileSystem {
    /// Makes a plain file that belongs into a directory, but has no name there.
    ///
    /// - Returns: a handle on it. `link` gives it its name.
    /// - Throws: `.notADirectory`, `.removed`, `.readOnly`.
    public func makeNameless(
        in directory: FileHandle, _ creation: PosixCreation, as caller: Caller
    ) throws(FileError) -> (FileHandle, PosixStatus) {
        guard let parent = directory.node else { throw .permissionDenied }
        let branch = parent.branch
        let (node, status) = try branch.lock.locked {
            () throws(FileError) -> (FileNode, PosixStatus) in
            guard parent.isDirectory else { throw .notADirectory }
            try branch.checkWritable(parent)
            let node = try branch.addNameless(creation, for: parent, as: caller)
            branch.addUserAgain()
            return (node, node.posixStatus)
        }
        return (FileHandle(self, node: node, parentProtection: nil), status)
    }

    /// Gives a file that was made without a name its first one.
    ///
    /// - Throws: `.notFound` where somebody else was faster, or the file has never been without.
    func nameFirst(
        _ file: FileHandle, _ node: FileNode, _ place: FilePlace, as caller: Caller
    ) throws(FileError) -> (FileHandle, PosixStatus) {
        let (branch, parent) = (node.branch, place.parent)
        return try uninterrupted { () throws(FileError) -> (FileHandle, PosixStatus) in
            // What lies beyond its end would be nobody's to clear any more.
            while branch.lock.locked({ !node.hasCleanTail }) {
                try withRoom(caller) { () throws(FileError) -> Void in
                    try branch.cleanTail(node, as: caller)
                }
            }
            return try withRoom(caller) { () throws(FileError) -> (FileHandle, PosixStatus) in
                try branch.update { (view: BelowView) throws(FileError) -> [UInt8]? in
                    try branch.valueBelow(place.key, view, mayBlock: caller.mayBlock)
                } _: { (below: [UInt8]?) throws(FileError) -> (FileHandle, PosixStatus) in
                    guard parent.isDirectory else { throw .notADirectory }
                    if parent.isRemoved { throw .removed }
                    guard node.isUnnamedYet, !node.isLost else { throw .notFound }
                    if branch.valueLocked(place.key, below: below) != nil { throw .exists }
                    try branch.checkWritable(parent)
                    guard node.hasCleanTail else { throw .interference }
                    try branch.addFirstName(place, of: node, as: caller)
                    node.references += 1
                    node.handles += 1
                    branch.addUserAgain()
                    let handle = FileHandle(
                        self, node: node, parentProtection: Protection(parent.entry))
                    return (handle, node.posixStatus)
                }
            }
        }
    }
}

extension Branch {
    /// Lock held; all is checked.
    fileprivate func addNameless(
        _ creation: PosixCreation, for directory: FileNode, as caller: Caller
    ) throws(FileError) -> FileNode {
        let now = volume.now()
        var entry = DirectoryEntry(
            qidPath: try volume.nextQid(), mode: creation.mode, accessTime: now,
            modificationTime: now, uid: creation.owner.rawValue, gid: creation.group.rawValue,
            muid: caller.user.rawValue, posix: posixPart(at: now))
        entry.posix?.hasAttributes = !creation.attributes.isEmpty
        let node = adopt(entry, name: [], parent: directory)
        node.handles += 1
        node.isRemoved = true
        node.isUnnamedYet = true
        node.createdAtFreeze = freezeCount
        node.hasCleanTail = true
        node.changeTime = now
        if entry.posix != nil {
            for attribute in creation.attributes {
                node.looseAttributes[attribute.name] = attribute.value
            }
        }
        return node
    }

    /// Lock held; all is checked.
    fileprivate func addFirstName(
        _ place: FilePlace, of node: FileNode, as caller: Caller
    ) throws(FileError) {
        let qid = node.qidPath
        var needed = promise(forPutting: place.key, valueBytes: DirectoryEntry.posixByteCount)
        needed += promise(
            forPutting: place.parent.key, valueBytes: DirectoryEntry.posixByteCount)
        needed += SpacePromise(keys: 1, bytes: 64)
        for (_, value) in node.looseAttributes {
            needed += SpacePromise(
                keys: 1 + value.count / AttributeKeyView.partBytes, bytes: 400 + 2 * value.count)
        }
        try take(needed, as: caller, drawsOnReserve: false)
        // Its data is no longer to be cleared.
        if let job = clears.removeValue(forKey: qid) { removeKey(job.key) }
        for (name, value) in node.looseAttributes { putAttribute(name, of: qid, value) }
        node.looseAttributes = [:]
        node.changeTime = volume.now()
        node.entry.qidVersion &+= 1
        node.isRemoved = false
        node.isUnnamedYet = false
        let last = node.parent
        place.parent.references += 1
        (node.parent, node.name) = (place.parent, place.name)
        // A directory, so that nothing is left to clear.
        if let last { _ = release(last) }
        put(node.entry, node.key, isNew: true)
        stamp(place.parent, as: caller)
        put(place.parent)
        tell(.file(qidPath: qid), as: caller)
        tell(.name(place.name, directory: place.parent.qidPath), as: caller)
    }
}
