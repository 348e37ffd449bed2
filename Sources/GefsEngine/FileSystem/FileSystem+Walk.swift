import GefsFormat

extension FileSystem {
    /// A handle on the root of a label's tree, or on the directory of all labels (`dump`).
    ///
    /// - Parameter name: a label, or what `resolve` finds one by.
    /// - Throws: `FileError.unknownLabel`, `.branchName`; errors of reading.
    public func attach(_ name: [UInt8], as caller: Caller) throws(FileError) -> FileHandle {
        if name == Dump.label {
            return FileHandle(self, node: nil, parentProtection: nil)
        }
        let label = try resolve(name, mayBlock: caller.mayBlock)
        let root = try attach(label: label, as: caller)
        volume.noteUse(of: label)
        return root
    }

    /// A handle on the root of the tree of exactly this label. Does not count as use of it.
    func attach(label: [UInt8], as caller: Caller) throws(FileError) -> FileHandle {
        let branch = try volume.use(label, mayBlock: caller.mayBlock)
        do throws(FileError) {
            return FileHandle(
                self, node: try root(of: branch, mayBlock: caller.mayBlock), parentProtection: nil)
        } catch {
            branch.lock.locked { branch.removeUser() }
            throw error
        }
    }

    /// The node of a tree's root, with a handle more.
    private func root(of branch: Branch, mayBlock: Bool) throws(FileError) -> FileNode {
        let key = Key.entry(parent: .max, name: [UInt8]())
        return try branch.update { (view: BelowView) throws(FileError) -> [UInt8]? in
            try branch.valueBelow(key, view, mayBlock: mayBlock)
        } _: { (below: [UInt8]?) throws(FileError) -> FileNode in
            guard let bytes = branch.valueLocked(key, below: below) else {
                throw .missingRoot(root: branch.version.root.pointer.address)
            }
            let node = branch.adopt(try branch.decodeEntry(bytes), name: [], parent: nil)
            node.handles += 1
            return node
        }
    }

    /// Another, unopened handle on the same file.
    public func clone(_ handle: FileHandle) -> FileHandle {
        if let node = handle.node {
            node.branch.lock.locked {
                node.references += 1
                node.handles += 1
                node.branch.addUserAgain()
            }
        }
        let other = FileHandle(
            self, node: handle.node, parentProtection: handle.parentProtection)
        handle.node?.branch.lock.locked {
            guard let place = handle.place else { return }
            place.parent.references += 1
            other.place = place
        }
        return other
    }

    /// Goes from a directory to the entry `name`, or to its parent with `..`.
    ///
    /// Needs execute permission on the directory. Concurrent changes of the directory are seen
    /// wholly or not at all.
    /// - Throws: `.notFound`, `.notADirectory`, `.permissionDenied`, `.nameTooLong`, `.removed`.
    public func walk(
        from handle: FileHandle, _ name: UnsafeRawBufferPointer, as caller: Caller
    ) throws(FileError) -> FileHandle {
        guard let node = handle.node else { return try walkDump(name, as: caller) }
        let branch = node.branch
        if name.count == 2, name[0] == UInt8(ascii: "."), name[1] == UInt8(ascii: ".") {
            return try walkUp(node, as: caller)
        }
        if name.count > volume.nameBytesMax { throw .nameTooLong }
        let key = Key.entry(parent: node.qidPath, name: name)
        let users = usersToCheck(caller)
        while true {
            branch.lock.lock()
            do throws(FileError) {
                try checkSearch(node, caller, users)
            } catch {
                branch.lock.unlock()
                throw error
            }
            switch key.withBytes({ branch.active.lookup($0) }) {
            case .removed:
                branch.lock.unlock()
                throw .notFound
            case .value(let bytes):
                if let link = LinkRecord(bytes) {
                    branch.lock.unlock()
                    return try enter(link, key, name, node, as: caller)
                }
                defer { branch.lock.unlock() }
                return try enter(branch.decodeEntry(Array(bytes)), name, node)
            case .absent:
                break
            }
            let view = branch.below
            branch.lock.unlock()
            guard let bytes = try branch.valueBelow(key, view, mayBlock: caller.mayBlock) else {
                throw .notFound
            }
            if let link = bytes.withUnsafeBytes({ LinkRecord($0) }) {
                return try enter(link, key, name, node, as: caller)
            }
            let entry = try branch.decodeEntry(bytes)
            branch.lock.lock()
            defer { branch.lock.unlock() }
            // Still as found, unless the layer was frozen or the name changed meanwhile.
            guard branch.freezeCount == view.freezeCount else { continue }
            if case .absent = key.withBytes({ branch.active.lookup($0) }) {
                return try enter(entry, name, node)
            }
        }
    }

    /// What a caller's permissions are decided by; nil for one who needs none.
    private func usersToCheck(_ caller: Caller) -> UserTable? {
        caller.isPermissive ? nil : users
    }

    private func checkSearch(
        _ node: FileNode, _ caller: Caller, _ users: UserTable?
    ) throws(FileError) {
        if node.isRemoved { throw .removed }
        guard node.isDirectory else { throw .notADirectory }
        if let users, !Protection(node.entry).allows(.execute, to: caller, users: users) {
            throw .permissionDenied
        }
    }

    /// Lock held.
    private func enter(
        _ entry: DirectoryEntry, _ name: UnsafeRawBufferPointer, _ parent: FileNode
    ) throws(FileError) -> FileHandle {
        let node = parent.branch.adopt(entry, name: Array(name), parent: parent)
        node.handles += 1
        parent.branch.addUserAgain()
        return FileHandle(self, node: node, parentProtection: Protection(parent.entry))
    }

    /// Goes to a file that has several names. Takes the lock.
    private func enter(
        _ link: LinkRecord, _ key: Key, _ name: UnsafeRawBufferPointer, _ parent: FileNode,
        as caller: Caller
    ) throws(FileError) -> FileHandle {
        let branch = parent.branch
        let inodeKey = Key.inode(link.qidPath)
        typealias Found = (name: [UInt8]?, inode: [UInt8]?)
        return try branch.update { (view: BelowView) throws(FileError) -> Found in
            (
                try branch.valueBelow(key, view, mayBlock: caller.mayBlock),
                try branch.valueBelow(inodeKey, view, mayBlock: caller.mayBlock)
            )
        } _: { (found: Found) throws(FileError) -> FileHandle in
            guard let value = branch.valueLocked(key, below: found.name) else { throw .notFound }
            guard value.withUnsafeBytes({ LinkRecord($0) }) == link else { throw .interference }
            guard let bytes = branch.valueLocked(inodeKey, below: found.inode) else {
                throw .badRecord(
                    .danglingLink(qid: link.qidPath), root: branch.record.root.address)
            }
            let node = branch.adopt(
                try branch.decodeEntry(bytes), name: Array(name), parent: parent, isLinked: true)
            node.handles += 1
            branch.addUserAgain()
            let handle = FileHandle(self, node: node, parentProtection: Protection(parent.entry))
            handle.place = FilePlace(parent: parent, name: Array(name))
            parent.references += 1
            return handle
        }
    }

    private func walkUp(_ node: FileNode, as caller: Caller) throws(FileError) -> FileHandle {
        let users = usersToCheck(caller)
        let branch = node.branch
        branch.lock.lock()
        defer { branch.lock.unlock() }
        try checkSearch(node, caller, users)
        let up = node.parent ?? node
        up.references += 1
        up.handles += 1
        branch.addUserAgain()
        return FileHandle(
            self, node: up, parentProtection: up.parent.map { Protection($0.entry) })
    }

    /// Gives a handle back. Remove-on-close takes effect here; a file without its name that
    /// nobody holds any more loses its data.
    ///
    /// May block where the handle removes on close.
    public func close(_ handle: FileHandle) {
        let (isFirst, removes) = handle.lock.locked { () -> (Bool, Bool) in
            let isFirst = !handle.isClosed
            handle.isClosed = true
            return (isFirst, handle.mode?.removesOnClose ?? false)
        }
        guard isFirst, let node = handle.node else { return }
        if removes {
            // Permission was checked when the file was opened; errors have nobody to go to.
            let caller = Caller(user: users.none, isPermissive: true)
            try? removeEntry(of: handle, as: caller)
        }
        let branch = node.branch
        let job = branch.lock.locked { () -> ClearJob? in
            node.handles -= 1
            if let place = handle.place {
                handle.place = nil
                _ = branch.release(place.parent)
            }
            branch.removeUser()
            return branch.release(node)
        }
        if let job { volume.reclaimer.add(branch, job.qid) }
    }
}
