import GefsFormat

extension FileSystem {
    /// Changes a file's attributes, all or nothing; every rule is checked before anything changes.
    ///
    /// Source: SEMANTICS 6, "wstat".
    public func change(
        _ handle: FileHandle, _ changes: AttributeChanges, as caller: Caller
    ) throws(FileError) {
        guard let node = handle.node else { throw .badOpenMode }
        let branch = node.branch
        var changes = changes
        let users = self.users
        try branch.lock.locked { () throws(FileError) -> Void in
            if node.isRemoved { throw .removed }
            try checkChanges(&changes, node, handle, caller, users)
            try branch.checkWritable(node)
        }
        let shrinks = try branch.lock.locked { () throws(FileError) -> Bool in
            guard let length = changes.length else { return false }
            return length < UInt64(bitPattern: node.entry.length)
        }
        if shrinks { try branch.waitForClear(node.qidPath, as: caller) }
        if let length = changes.length, !shrinks { try growTail(node, to: length, as: caller) }
        try apply(changes, to: node, handle, as: caller)
    }

    /// Makes a file ready to grow to `length`.
    func growTail(
        _ node: FileNode, to length: UInt64, as caller: Caller
    ) throws(FileError) {
        while node.branch.lock.locked({
            length > UInt64(bitPattern: node.entry.length) && !node.hasCleanTail
        }) {
            try withRoom(caller) { () throws(FileError) -> Void in
                try node.branch.cleanTail(node, as: caller)
            }
        }
    }

    private func apply(
        _ changes: AttributeChanges, to node: FileNode, _ handle: FileHandle, as caller: Caller
    ) throws(FileError) {
        let branch = node.branch
        struct Found {
            var target: [UInt8]?
            var own = Remains()
            var data = DataKeys()
        }
        let newPlace = branch.lock.locked { self.newPlace(handle, changes) }
        try withRoom(caller) { () throws(FileError) -> Void in
            try branch.update { (view: BelowView) throws(FileError) -> Found in
                var found = Found()
                if let newPlace {
                    found.target = try branch.valueBelow(
                        newPlace.key, view, mayBlock: caller.mayBlock)
                    let place = branch.lock.locked { handle.currentPlace }
                    found.own.isLinked = branch.lock.locked { node.isLinked }
                    if let place, found.own.isLinked {
                        found.own.name = try branch.valueBelow(
                            place.key, view, mayBlock: caller.mayBlock)
                    }
                }
                if let length = changes.length,
                    branch.lock.locked({ length < UInt64(bitPattern: node.entry.length) })
                {
                    found.data = try branch.dataKeysBelow(
                        node.qidPath, from: Geometry.blockCount(coveringBytes: length),
                        limit: Branch.inlineClearMax, view, mayBlock: caller.mayBlock)
                }
                return found
            } _: { (found: Found) throws(FileError) -> Void in
                // Permission was settled on this very state, or on one that the same caller saw.
                var changes = changes
                try checkChanges(&changes, node, handle, caller, users)
                try branch.checkWritable(node)
                var places: (old: FilePlace, new: FilePlace)?
                if changes.name != nil {
                    guard let old = handle.currentPlace, let newPlace,
                        // Its directory is another one: the caller's way to the file is gone.
                        old.parent === newPlace.parent,
                        try branch.isName(old, of: node, below: found.own)
                    else { throw .removed }
                    if branch.valueLocked(newPlace.key, below: found.target) != nil {
                        throw .exists
                    }
                    places = (old, newPlace)
                }
                try branch.change(node, changes, places, found.data, as: caller)
                if let newPlace, places != nil, handle.place != nil { handle.place = newPlace }
            }
        }
    }

    /// The name that a file is to get. Lock held.
    private func newPlace(_ handle: FileHandle, _ changes: AttributeChanges) -> FilePlace? {
        guard let name = changes.name, let place = handle.currentPlace else { return nil }
        return FilePlace(parent: place.parent, name: name)
    }

    /// Checks every rule; fields that change nothing become nil. Lock held.
    private func checkChanges(
        _ changes: inout AttributeChanges, _ node: FileNode, _ handle: FileHandle,
        _ caller: Caller, _ users: UserTable
    ) throws(FileError) {
        let entry = node.entry
        if node.isRemoved { throw .removed }
        if let path = changes.qidPath, path != entry.qidPath { throw .changesQidPath }
        if let version = changes.qidVersion, version != entry.qidVersion {
            throw .changesQidVersion
        }
        if let type = changes.qidType, type != entry.qidType { throw .changesQidType }
        if let name = changes.name { try checkRename(name, &changes, node, handle, caller, users) }
        if let length = changes.length {
            if length > UInt64(Int64.max) { throw .negativeLength }
            guard Protection(entry).allows(.write, to: caller, users: users) else {
                throw .permissionDenied
            }
            if entry.isDirectory || node.isAdministrative {
                if length != 0 { throw .permissionDenied }
                changes.length = nil
            }
        }
        if let mode = changes.mode {
            if (mode ^ entry.mode) & ModeBits.directory != 0 { throw .changesDirectoryBit }
            try FileMode.checkKnown(mode)
        }
        if changes.mode != nil || changes.modificationTime != nil {
            let leads = users.isLeader(caller.user, of: UserID(rawValue: entry.gid))
            guard caller.isPermissive || caller.user.rawValue == entry.uid || leads else {
                throw .notOwnerOrLeader
            }
        }
        try checkOwners(&changes, entry, caller, users)
    }

    private func checkRename(
        _ name: [UInt8], _ changes: inout AttributeChanges, _ node: FileNode,
        _ handle: FileHandle, _ caller: Caller, _ users: UserTable
    ) throws(FileError) {
        if name == handle.currentPlace?.name || (node.parent == nil && name == [UInt8(ascii: "/")])
        {
            changes.name = nil
            return
        }
        try name.withBytes { (bytes) throws(FileError) -> Void in
            try FileName.check(bytes, isPosix: volume.isPosix)
        }
        try checkRemovable(handle, node, caller, users)
    }

    private func checkOwners(
        _ changes: inout AttributeChanges, _ entry: DirectoryEntry, _ caller: Caller,
        _ users: UserTable
    ) throws(FileError) {
        if let owner = changes.owner {
            guard users.name(of: owner) != nil else { throw .unknownUser }
            if owner.rawValue == entry.uid {
                changes.owner = nil
            } else if !caller.isPermissive {
                throw .notOwner
            }
        }
        if let group = changes.group {
            guard users.name(of: group) != nil else { throw .unknownGroup }
            if group.rawValue == entry.gid {
                changes.group = nil
            } else if !caller.isPermissive {
                let owns =
                    caller.user.rawValue == entry.uid && users.isMember(caller.user, of: group)
                let leadsBoth =
                    users.isLeader(caller.user, of: UserID(rawValue: entry.gid))
                    && users.isLeader(caller.user, of: group)
                guard owns || leadsBoth else { throw .notInGroup }
            }
        }
    }
}

extension Branch {
    /// Makes a checked change. Lock held; the new one of the places is free.
    func change(
        _ node: FileNode, _ changes: AttributeChanges,
        _ places: (old: FilePlace, new: FilePlace)?, _ data: DataKeys, as caller: Caller
    ) throws(FileError) {
        var needed = promise(forPutting: node.key, valueBytes: DirectoryEntry.posixByteCount)
        if let place = places?.new {
            needed += promise(forPutting: place.key, valueBytes: DirectoryEntry.posixByteCount)
            needed += promise(
                forPutting: place.parent.key, valueBytes: DirectoryEntry.posixByteCount)
            needed += SpacePromise(
                keys: node.isLinked ? 4 : 1, bytes: 4 * place.key.bytes.count + 300)
        }
        // What only makes room must work on a full disk.
        let shrinks = changes.length.map { $0 < UInt64(bitPattern: node.entry.length) } ?? false
        try take(needed, as: caller, drawsOnReserve: shrinks && places == nil)
        if let length = changes.length {
            if length < UInt64(bitPattern: node.entry.length) {
                try shrink(node, to: length, data, as: caller)
            } else {
                node.noteLength(length)
                node.entry.length = Int64(bitPattern: length)
            }
        }
        let modificationTime = node.entry.modificationTime
        stamp(node, as: caller)
        // Names, modes and owners are no contents: their change leaves the time of the file alone.
        if changes.length == nil { node.entry.modificationTime = modificationTime }
        if let mode = changes.mode {
            node.entry.mode = mode
            node.entry.qidType = UInt8(truncatingIfNeeded: mode >> 24)
        }
        if let time = changes.modificationTime { node.entry.modificationTime = time }
        if let owner = changes.owner { node.entry.uid = owner.rawValue }
        if let group = changes.group { node.entry.gid = group.rawValue }
        guard let (old, new) = places else { return put(node) }
        removeKey(old.key)
        put(new.key, node.nameValue, isNew: true)
        moveLinks(of: node, from: old, to: new)
        for place in [old, new] {
            tell(.name(place.name, directory: place.parent.qidPath), as: caller)
        }
        stamp(new.parent, as: caller)
        put(new.parent)
    }
}
