import GefsFormat

/// What a rename does where the new name is taken.
public enum RenameRule: Sendable {
    /// The file of that name loses it.
    case replace
    /// Nothing: `.exists`.
    case keep
    /// The two files exchange their names; the other has to be there.
    case exchange
}

extension FileSystem {
    /// Gives a file another name, in any directory of the same branch, wholly or not at all.
    ///
    /// - Throws: `.notFound`, `.exists`, `.directoryNotEmpty`, `.isADirectory` and `.notADirectory`
    ///   where a directory and another file would replace each other, `.insideItself` for a directory
    ///   that would lie below itself, `.otherBranch`, `.readOnly`, `.volumeFull`.
    public func rename(
        _ name: UnsafeRawBufferPointer, in directory: FileHandle,
        to newName: UnsafeRawBufferPointer, in newDirectory: FileHandle, _ rule: RenameRule,
        as caller: Caller
    ) throws(FileError) {
        try FileName.check(newName, isPosix: volume.isPosix)
        try uninterrupted { () throws(FileError) -> Void in
            try renameOnce(name, in: directory, to: newName, in: newDirectory, rule, as: caller)
        }
    }

    /// - Throws: `.interference` where others changed the names meanwhile.
    private func renameOnce(
        _ name: UnsafeRawBufferPointer, in directory: FileHandle,
        to newName: UnsafeRawBufferPointer, in newDirectory: FileHandle, _ rule: RenameRule,
        as caller: Caller
    ) throws(FileError) {
        guard let oldParent = directory.node, let newParent = newDirectory.node else {
            throw .permissionDenied
        }
        let branch = oldParent.branch
        guard newParent.branch === branch else { throw .otherBranch }
        let source = try walk(from: directory, name, as: caller)
        defer { close(source) }
        guard let node = source.node, node.parent != nil, !node.isAdministrative else {
            throw .permissionDenied
        }
        let target = try optionalWalk(newName, in: newDirectory, as: caller)
        defer { if let target { close(target) } }
        if let other = target?.node {
            if rule == .keep { throw .exists }
            if other === node { return }
            guard !other.isAdministrative else { throw .permissionDenied }
            try branch.waitForClear(other.qidPath, as: caller)
        } else if rule == .exchange {
            throw .notFound
        }
        let change = Renaming(
            node: node, from: FilePlace(parent: oldParent, name: Array(name)),
            to: FilePlace(parent: newParent, name: Array(newName)), target: target?.node,
            exchanges: rule == .exchange)
        try withRoom(caller) { () throws(FileError) -> Void in
            try branch.update { (view: BelowView) throws(FileError) -> Renaming.Found in
                var found = Renaming.Found()
                found.below = try branch.valueBelow(
                    change.to.key, view, mayBlock: caller.mayBlock)
                found.source.isLinked = branch.lock.locked { node.isLinked }
                if found.source.isLinked {
                    found.source.name = try branch.valueBelow(
                        change.from.key, view, mayBlock: caller.mayBlock)
                }
                if let other = change.target {
                    found.target = try remains(of: other, at: change.to, view, as: caller)
                }
                return found
            } _: { (found: Renaming.Found) throws(FileError) -> Void in
                try branch.checkRenaming(change, found)
                try branch.rename(change, found, as: caller)
            }
        }
    }

    private func optionalWalk(
        _ name: UnsafeRawBufferPointer, in directory: FileHandle, as caller: Caller
    ) throws(FileError) -> FileHandle? {
        do throws(FileError) {
            return try walk(from: directory, name, as: caller)
        } catch .notFound {
            return nil
        }
    }
}

/// A rename that was looked up, to be checked and made under the lock.
private struct Renaming {
    struct Found {
        /// The new name's value below the active layer.
        var below: [UInt8]?
        var source = Remains()
        var target = Remains()
    }

    let node: FileNode
    let from: FilePlace
    let to: FilePlace
    /// Who has the new name now.
    let target: FileNode?
    let exchanges: Bool
}

extension Branch {
    /// Lock held.
    fileprivate func checkRenaming(
        _ change: Renaming, _ found: Renaming.Found
    ) throws(FileError) {
        let (from, to) = (change.from.parent, change.to.parent)
        try checkWritable(from)
        try checkWritable(to)
        // Somebody was faster: all is looked up again.
        guard try isName(change.from, of: change.node, below: found.source) else {
            throw .interference
        }
        let isTaken = valueLocked(change.to.key, below: found.below) != nil
        guard isTaken == (change.target != nil) else { throw .interference }
        if let target = change.target {
            guard try isName(change.to, of: target, below: found.target) else {
                throw .interference
            }
            if !change.exchanges {
                guard target.isDirectory == change.node.isDirectory else {
                    throw target.isDirectory ? .isADirectory : .notADirectory
                }
                try checkEmpty(target, found.target)
            } else if target.isDirectory, isAncestor(target, of: from) {
                throw .insideItself
            }
        }
        guard to.isDirectory else { throw .notADirectory }
        if change.node.isDirectory, isAncestor(change.node, of: to) { throw .insideItself }
    }

    /// Whether a directory is another one, or lies above it. Lock held.
    private func isAncestor(_ node: FileNode, of other: FileNode) -> Bool {
        var next: FileNode? = other
        while let current = next {
            if current === node { return true }
            next = current.parent
        }
        return false
    }

    /// Lock held; all is checked.
    fileprivate func rename(
        _ change: Renaming, _ found: Renaming.Found, as caller: Caller
    ) throws(FileError) {
        let (node, from, to) = (change.node, change.from, change.to)
        let (oldKey, newKey) = (from.key, to.key)
        var needed = SpacePromise(
            keys: 9, bytes: 4 * (oldKey.bytes.count + newKey.bytes.count) + 600)
        for parent in [from.parent, to.parent] {
            needed += promise(forPutting: parent.key, valueBytes: DirectoryEntry.posixByteCount)
        }
        try take(needed, as: caller, drawsOnReserve: false)
        let now = volume.now()
        node.changeTime = now
        if let target = change.target, !change.exchanges {
            try removeName(target, at: to, found.target, as: caller)
            // The name is there again at once.
            put(newKey, node.nameValue, isNew: false)
        } else {
            put(newKey, node.nameValue, isNew: change.target == nil)
        }
        if let target = change.target, change.exchanges {
            target.changeTime = now
            put(oldKey, target.nameValue, isNew: false)
            moveLinks(of: target, from: to, to: from)
        } else {
            removeKey(oldKey)
        }
        moveLinks(of: node, from: from, to: to)
        for directory in from.parent === to.parent ? [to.parent] : [from.parent, to.parent] {
            stamp(directory, as: caller)
            put(directory)
        }
        for place in [from, to] {
            tell(.name(place.name, directory: place.parent.qidPath), as: caller)
        }
    }

    /// Makes all that leads from a file to its name lead to another one. Lock held.
    func moveLinks(of node: FileNode, from old: FilePlace, to new: FilePlace) {
        if node.isDirectory {
            put(Key.up(node.qidPath), new.key.bytes, isNew: false)
            old.parent.entry.countDirectories(-1)
            new.parent.entry.countDirectories(1)
        }
        if node.isLinked {
            removeKey(old.link(of: node.qidPath))
            put(new.link(of: node.qidPath), [], isNew: true)
            put(node)
        }
        guard !node.isLinked || (node.parent === old.parent && node.name == old.name) else {
            return
        }
        node.name = new.name
        guard node.parent !== new.parent else { return }
        // Whoever renames has both directories open.
        new.parent.references += 1
        node.parent = new.parent
        old.parent.references -= 1
    }
}
