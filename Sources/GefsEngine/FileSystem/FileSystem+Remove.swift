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
        try uninterrupted { () throws(FileError) -> Void in
            try withRoom(caller) { () throws(FileError) -> Void in
                try branch.update { (view: BelowView) throws(FileError) -> Remains in
                    let place = branch.lock.locked { handle.currentPlace }
                    guard let place else { throw .permissionDenied }
                    return try remains(of: node, at: place, view, as: caller)
                } _: { (remains: Remains) throws(FileError) -> Void in
                    if node.isRemoved { throw .removed }
                    guard let place = handle.currentPlace else { throw .permissionDenied }
                    guard try branch.isName(place, of: node, below: remains) else {
                        throw .removed
                    }
                    try branch.checkEmpty(node, remains)
                    try branch.checkWritable()
                    try branch.removeName(node, at: place, remains, as: caller)
                }
            }
        }
    }

    /// Does once more what others came between, as often as makes sense.
    func uninterrupted<Result>(
        _ body: () throws(FileError) -> Result
    ) throws(FileError) -> Result {
        for _ in 0..<64 {
            do throws(FileError) {
                return try body()
            } catch .interference {}
        }
        return try body()
    }
}

/// What lies below the active layer of a file that is to lose a name.
struct Remains {
    /// A directory's.
    var isEmpty = true
    var data = DataKeys()
    /// Keys of all parts of its extended attributes, in any layer, as of `version`.
    var attributes: [Key] = []
    /// What they are.
    var values: LooseAttributes = [:]
    var version: UInt32 = 0
    /// The value of the name, where the file has several.
    var name: [UInt8]?
    var isLinked = false
}

extension FileSystem {
    /// Finds out what removing a name of a file has to know.
    func remains(
        of node: FileNode, at place: FilePlace, _ view: BelowView, as caller: Caller
    ) throws(FileError) -> Remains {
        let branch = node.branch
        var remains = Remains()
        let (isDirectory, mayHaveData, hasAttributes) = branch.lock.locked {
            remains.version = node.entry.qidVersion
            remains.isLinked = node.isLinked
            return (
                node.isDirectory, node.createdAtFreeze != branch.freezeCount,
                node.entry.posix?.hasAttributes ?? false
            )
        }
        if remains.isLinked {
            remains.name = try branch.valueBelow(place.key, view, mayBlock: caller.mayBlock)
        }
        if isDirectory {
            remains.isEmpty = try isEmptyDirectory(node, as: caller)
        } else if mayHaveData {
            remains.data = try branch.dataKeysBelow(
                node.qidPath, from: 0, limit: Branch.inlineClearMax, view,
                mayBlock: caller.mayBlock)
        }
        if hasAttributes {
            (remains.attributes, remains.values) = try branch.attributes(
                of: node.qidPath, mayBlock: caller.mayBlock)
        }
        return remains
    }
}

extension Branch {
    /// Whether a name is still one of a file. Lock held.
    ///
    /// - Throws: `.interference` where what was found out is not enough any more.
    func isName(
        _ place: FilePlace, of node: FileNode, below remains: Remains
    ) throws(FileError) -> Bool {
        guard node.isLinked else {
            return !node.isRemoved && node.parent === place.parent && node.name == place.name
        }
        guard remains.isLinked else { throw .interference }
        let value = valueLocked(place.key, below: remains.name)
        return value?.withUnsafeBytes { LinkRecord($0)?.qidPath } == node.qidPath
    }

    /// Lock held.
    func checkEmpty(_ node: FileNode, _ remains: Remains) throws(FileError) {
        guard remains.isEmpty, !hasActiveChild(node) else { throw .directoryNotEmpty }
        if node.entry.posix?.hasAttributes ?? false, node.entry.qidVersion != remains.version {
            throw .interference
        }
    }

    /// Takes a name of a file out of its directory; with the last one goes the file. Lock held; all
    /// is checked.
    func removeName(
        _ node: FileNode, at place: FilePlace, _ remains: Remains, as caller: Caller
    ) throws(FileError) {
        let qid = node.qidPath
        let count = node.isLinked ? node.entry.posix?.linkCount ?? 1 : 1
        let data = remains.data
        var needed = promise(forPutting: place.key, valueBytes: 0)
        needed += promise(
            forPutting: place.parent.key, valueBytes: DirectoryEntry.posixByteCount)
        needed += promise(forRemovingData: data.hasMore ? 1 : data.indices.count)
        needed += promise(forAttributes: remains.attributes)
        if node.isDirectory { needed.keys += 1 }
        if node.isLinked {
            needed += promise(forPutting: place.link(of: qid), valueBytes: 0)
            needed += promise(forPutting: node.key, valueBytes: DirectoryEntry.posixByteCount)
        }
        try take(needed, as: caller, drawsOnReserve: true)
        removeKey(place.key)
        if node.isLinked { removeKey(place.link(of: qid)) }
        node.changeTime = volume.now()
        if count > 1 {
            node.entry.posix?.linkCount = count - 1
            node.entry.qidVersion &+= 1
            put(node)
            tell(.file(qidPath: qid), as: caller)
        } else {
            if node.isLinked { removeKey(node.key) }
            if node.isDirectory {
                removeKey(Key.up(qid))
                place.parent.entry.countDirectories(-1)
            }
            for key in remains.attributes { removeKey(key) }
            if node.handles > 1 { node.looseAttributes = remains.values }
            node.entry.posix?.hasAttributes = !node.looseAttributes.isEmpty
            node.isRemoved = true
            removeContents(of: node, data)
        }
        stamp(place.parent, as: caller)
        put(place.parent)
        tell(.name(place.name, directory: place.parent.qidPath), as: caller)
    }

    /// Takes the data of a file away that has just lost its last name, or sees to it that it goes
    /// when the file is closed. Lock held.
    private func removeContents(of node: FileNode, _ data: DataKeys) {
        let qid = node.qidPath
        let isHeldElsewhere = node.handles > 1
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
    }
}
