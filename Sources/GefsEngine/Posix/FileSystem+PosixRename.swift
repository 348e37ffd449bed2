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
        try FileName.check(newName)
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
            node: node, name: Array(newName), from: oldParent, to: newParent,
            target: target?.node, exchanges: rule == .exchange)
        let newKey = Key.entry(parent: newParent.qidPath, name: newName)
        try withRoom(caller) { () throws(FileError) -> Void in
            try branch.update { (view: BelowView) throws(FileError) -> Renaming.Found in
                var found = Renaming.Found()
                found.below = try branch.valueBelow(newKey, view, mayBlock: caller.mayBlock)
                guard let other = change.target, !change.exchanges else { return found }
                if branch.lock.locked({ other.isDirectory }) {
                    found.isEmpty = try isEmptyDirectory(other, as: caller)
                } else {
                    found.data = try branch.dataKeysBelow(
                        other.qidPath, from: 0, limit: Branch.inlineClearMax, view,
                        mayBlock: caller.mayBlock)
                }
                return found
            } _: { (found: Renaming.Found) throws(FileError) -> Void in
                try branch.checkRenaming(change, newKey, found)
                try branch.rename(change, newKey, found, as: caller)
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
        var isEmpty = true
        var data = DataKeys()
    }

    let node: FileNode
    let name: [UInt8]
    let from: FileNode
    let to: FileNode
    /// Who has the new name now.
    let target: FileNode?
    let exchanges: Bool
}

extension Branch {
    /// Lock held.
    fileprivate func checkRenaming(
        _ change: Renaming, _ newKey: Key, _ found: Renaming.Found
    ) throws(FileError) {
        try checkWritable(change.from)
        try checkWritable(change.to)
        // Somebody was faster: the kernel asks again.
        guard !change.node.isRemoved, change.node.parent === change.from else { throw .notFound }
        let isTaken = valueLocked(newKey, below: found.below) != nil
        guard isTaken == (change.target != nil) else { throw .interference }
        if let target = change.target {
            guard !target.isRemoved, target.parent === change.to, target.name == change.name else {
                throw .interference
            }
            if !change.exchanges {
                guard target.isDirectory == change.node.isDirectory else {
                    throw target.isDirectory ? .isADirectory : .notADirectory
                }
                guard found.isEmpty, !hasActiveChild(target) else { throw .directoryNotEmpty }
            } else if target.isDirectory, isAncestor(target, of: change.from) {
                throw .insideItself
            }
        }
        guard change.to.isDirectory else { throw .notADirectory }
        if change.node.isDirectory, isAncestor(change.node, of: change.to) { throw .insideItself }
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
        _ change: Renaming, _ newKey: Key, _ found: Renaming.Found, as caller: Caller
    ) throws(FileError) {
        let (node, from, to) = (change.node, change.from, change.to)
        var needed = SpacePromise(
            keys: 7, bytes: 2 * (node.key.bytes.count + newKey.bytes.count) + 400)
        needed += promise(forPutting: from.key, valueBytes: DirectoryEntry.byteCount)
        needed += promise(forPutting: to.key, valueBytes: DirectoryEntry.byteCount)
        try take(needed, as: caller, drawsOnReserve: false)
        let oldKey = node.key
        let oldName = node.name
        if let target = change.target, !change.exchanges {
            try removeFile(target, in: to, found.data, as: caller)
            // The name is there again at once.
            put(node.entry, newKey, isNew: false)
        } else {
            put(node.entry, newKey, isNew: change.target == nil)
        }
        if let target = change.target, change.exchanges {
            put(target.entry, oldKey, isNew: false)
            if target.isDirectory { put(Key.up(target.qidPath), oldKey.bytes, isNew: false) }
            move(target, to: from, oldName)
        } else {
            removeKey(oldKey)
        }
        if node.isDirectory { put(Key.up(node.qidPath), newKey.bytes, isNew: false) }
        move(node, to: to, change.name)
        let now = volume.now()
        for directory in from === to ? [from] : [from, to] {
            stamp(directory, as: caller)
            put(directory)
        }
        tell(.name(oldName, directory: from.qidPath), as: caller)
        tell(.name(change.name, directory: to.qidPath), as: caller)
        node.changeTime = now
        change.target?.changeTime = now
    }

    /// Puts a node below another directory. Lock held; whoever renames has both directories open.
    private func move(_ node: FileNode, to directory: FileNode, _ name: [UInt8]) {
        node.name = name
        guard node.parent !== directory else { return }
        directory.references += 1
        let old = node.parent
        node.parent = directory
        old?.references -= 1
    }
}
