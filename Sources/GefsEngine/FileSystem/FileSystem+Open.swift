import GefsFormat

extension FileSystem {
    /// Opens the file that a handle refers to.
    ///
    /// Checks in the order of SEMANTICS 4. A truncation is seen by other callers at once.
    public func open(
        _ handle: FileHandle, _ mode: OpenMode, as caller: Caller
    ) throws(FileError) {
        guard let node = handle.node else { return try openDump(handle, mode, as: caller) }
        let branch = node.branch
        if mode.removesOnClose, branch.lock.locked({ node.isDirectory && !node.isRemoved }) {
            guard try isEmptyDirectory(node, as: caller) else { throw .directoryNotEmpty }
        }
        let users = self.users
        try branch.lock.locked { () throws(FileError) -> Void in
            if node.isRemoved { throw .removed }
            if node.entry.isExclusive, node.handles > 1 { throw .locked }
            try checkOpen(node, mode, caller, users)
            if mode.removesOnClose { try checkRemovable(handle, node, caller, users) }
        }
        if handle.isOpen { throw .alreadyOpen }
        if mode.truncates {
            try branch.lock.locked { () throws(FileError) -> Void in try branch.checkWritable() }
            if !node.isAdministrative, !branch.lock.locked({ node.entry.isAppendOnly }) {
                try truncate(node, to: 0, as: caller)
            }
        }
        handle.lock.locked {
            handle.mode = mode
            handle.listing = DirectoryListing()
        }
    }

    /// Lock held.
    private func checkOpen(
        _ node: FileNode, _ mode: OpenMode, _ caller: Caller, _ users: UserTable
    ) throws(FileError) {
        var wanted: Permission =
            switch mode.access {
            case .read: .read
            case .write: .write
            case .readWrite: [.read, .write]
            case .execute: [.read, .execute]
            }
        if mode.truncates { wanted.insert(.write) }
        guard Protection(node.entry).allows(wanted, to: caller, users: users) else {
            throw .permissionDenied
        }
        if node.isDirectory, wanted.contains(.write) { throw .permissionDenied }
    }

    /// Whether the caller may remove the file: write permission in its parent, as it was seen when
    /// the handle came there. Lock held.
    func checkRemovable(
        _ handle: FileHandle, _ node: FileNode, _ caller: Caller, _ users: UserTable
    ) throws(FileError) {
        guard node.parent != nil, handle.administrationFile == nil,
            let parent = handle.parentProtection,
            parent.allows(.write, to: caller, users: users)
        else { throw .permissionDenied }
    }

    /// Makes a file in the directory of `handle`; the handle becomes the new file, open.
    ///
    /// Visible to other callers at once and wholly. `openMode` is not checked against `mode`.
    public func create(
        in handle: FileHandle, name: UnsafeRawBufferPointer, mode: UInt32, _ openMode: OpenMode,
        as caller: Caller
    ) throws(FileError) {
        try FileName.check(name, isPosix: volume.isPosix)
        try FileMode.checkCreation(mode)
        guard let directory = handle.node else { throw .permissionDenied }
        if handle.isOpen { throw .alreadyOpen }
        let isDirectory = mode & ModeBits.directory != 0
        if isDirectory, openMode.allowsWriting || openMode.truncates { throw .permissionDenied }
        let branch = directory.branch
        let key = Key.entry(parent: directory.qidPath, name: name)
        let users = self.users
        let node = try withRoom(caller) { () throws(FileError) -> FileNode in
            try branch.update { (view: BelowView) throws(FileError) -> [UInt8]? in
                try branch.valueBelow(key, view, mayBlock: caller.mayBlock)
            } _: { (below: [UInt8]?) throws(FileError) -> FileNode in
                if directory.isRemoved { throw .removed }
                if branch.valueLocked(key, below: below) != nil { throw .exists }
                guard directory.isDirectory else { throw .notADirectory }
                guard
                    Protection(directory.entry).allows(.write, to: caller, users: users)
                else { throw .permissionDenied }
                try branch.checkWritable(directory)
                return try branch.addFile(in: directory, key, name, mode, as: caller)
            }
        }
        handle.lock.locked {
            handle.node = node
            handle.mode = openMode
            handle.listing = DirectoryListing()
        }
        let job = branch.lock.locked { () -> ClearJob? in
            handle.parentProtection = Protection(directory.entry)
            directory.handles -= 1
            return branch.release(directory)
        }
        if let job { volume.reclaimer.add(branch, job.qid) }
    }
}

/// Rules of mode bits. Source: SEMANTICS 4 and 6.
enum FileMode {
    private static let known =
        ModeBits.directory | ModeBits.appendOnly | ModeBits.exclusive | ModeBits.temporary
        | ModeBits.permissions

    static func checkCreation(_ mode: UInt32) throws(FileError) {
        if mode & (ModeBits.mount | ModeBits.authentication) != 0 { throw .authOrMountBits }
        try checkKnown(mode)
    }

    static func checkKnown(_ mode: UInt32) throws(FileError) {
        if mode & ~known != 0 { throw .unknownModeBits }
    }

    /// Mode of a new file in a directory of mode `directory`.
    static func inherited(_ mode: UInt32, from directory: UInt32) -> UInt32 {
        let mask: UInt32 = mode & ModeBits.directory != 0 ? 0o777 : 0o666
        return mode & (~mask | (directory & mask))
    }
}

extension Branch {
    /// Adds a file to a directory, with one reference and handle. Lock held; all is checked.
    func addFile(
        in directory: FileNode, _ key: Key, _ name: UnsafeRawBufferPointer, _ mode: UInt32,
        as caller: Caller
    ) throws(FileError) -> FileNode {
        let creation = PosixCreation(
            mode: FileMode.inherited(mode, from: directory.entry.mode), owner: caller.user,
            group: UserID(rawValue: directory.entry.gid))
        return try addFile(in: directory, key, name, creation, as: caller)
    }
}
