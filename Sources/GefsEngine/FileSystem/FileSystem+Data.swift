import GefsFormat

extension FileSystem {
    /// Reads from an open file into `buffer`; returns how many bytes there were.
    ///
    /// The bytes are those of one instant; holes read as zeros. A removed file that is still open
    /// reads as it was (SEMANTICS 12.49).
    public func read(
        _ handle: FileHandle, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer,
        as caller: Caller
    ) throws(FileError) -> Int {
        guard let mode = handle.openMode, mode.allowsReading else { throw .notOpen }
        guard let node = handle.node, !node.isDirectory else { throw .isADirectory }
        return try node.branch.read(node, at: offset, into: buffer, as: caller)
    }

    /// Writes all of `bytes` to an open file, or nothing; appends where the file is append-only.
    ///
    /// Seen by readers at once and wholly; durable after the next commit. Returns the byte count.
    public func write(
        _ handle: FileHandle, at offset: UInt64, from bytes: UnsafeRawBufferPointer,
        as caller: Caller
    ) throws(FileError) -> Int {
        guard let mode = handle.openMode, mode.allowsWriting else { throw .notOpen }
        guard let node = handle.node, !node.isDirectory else { throw .isADirectory }
        if node.isAdministrative { throw .permissionDenied }
        try node.branch.lock.locked { () throws(FileError) -> Void in
            try node.branch.checkWritable(node)
        }
        try volume.admit(caller)
        return try withRoom(caller) { () throws(FileError) -> Int in
            try node.branch.write(node, at: offset, from: bytes, as: caller)
        }
    }

    /// Sets a file's length to less than it is, and clears what lies beyond.
    func truncate(_ node: FileNode, to length: UInt64, as caller: Caller) throws(FileError) {
        let branch = node.branch
        try branch.waitForClear(node.qidPath, as: caller)
        try withRoom(caller) { () throws(FileError) -> Void in
            try branch.update { (view: BelowView) throws(FileError) -> DataKeys in
                try branch.dataKeysBelow(
                    node.qidPath, from: Geometry.blockCount(coveringBytes: length),
                    limit: Branch.inlineClearMax, view, mayBlock: caller.mayBlock)
            } _: { (keys: DataKeys) throws(FileError) -> Void in
                try branch.checkWritable(node)
                try branch.shrink(node, to: length, keys, as: caller)
                branch.stamp(node, as: caller)
                branch.put(node)
            }
        }
    }

    /// Runs a change; where the volume has no room for it, commits, which frees what is pending,
    /// and tries once more.
    func withRoom<Result>(
        _ caller: Caller, _ body: () throws(FileError) -> Result
    ) throws(FileError) -> Result {
        try volume.withRoom(caller, body)
    }
}

extension Branch {
    /// Takes data beyond `length` away and sets the length, without stamping. Lock held.
    func shrink(
        _ node: FileNode, to length: UInt64, _ keys: DataKeys, as caller: Caller
    ) throws(FileError) {
        let qid = node.qidPath
        let end = Geometry.blockCount(coveringBytes: length)
        var needed = promise(forPutting: node.key, valueBytes: DirectoryEntry.posixByteCount)
        needed += promise(forRemovingData: keys.hasMore ? 1 : keys.indices.count)
        try take(needed, as: caller, drawsOnReserve: true)
        dropDirty(qid, from: end)
        if keys.hasMore, !node.isRemoved {
            startClear(qid, from: end)
            node.hasCleanTail = false
        } else {
            if keys.hasMore { node.hasCleanTail = false }
            removeData(qid, keys.indices)
        }
        let rest = Int(length % UInt64(Geometry.blockBytes))
        if rest != 0 {
            if let last = dirty.block(qid, end - 1) {
                last.clear(from: rest)
            } else {
                node.hasCleanTail = false
            }
        }
        node.noteLength(length)
        node.entry.length = Int64(bitPattern: length)
    }

    /// Forgets dirty blocks and gives their promise back. Lock held.
    func dropDirty(_ qid: UInt64, from index: UInt64) {
        let count = dirty.remove(qid, from: index)
        guard count > 0 else { return }
        let given = SpacePromise(dataBlocks: count)
        promise -= given
        volume.ledger.release(given)
        volume.noteFlushed(given)
    }
}
