import GefsFormat

/// One entry of a directory while it is listed; valid during the call it is passed to.
public struct DirectoryItem: ~Copyable {
    public let entry: DirectoryEntry
    public let name: UnsafeRawBufferPointer
}

extension FileSystem {
    /// Lists an open directory, in key order: by the length of the name, then by its bytes.
    ///
    /// Goes on where the handle's last listing ended; entries that come or go in between are seen
    /// or not, all others exactly once. Offset 0 starts again; any other must be the sum of the
    /// bytes returned so far. `encode` gets the entries in order and returns the bytes that it
    /// used, or nil when one does not fit: that one is offered first the next time.
    /// - Throws: `.badDirectoryOffset`, `.recordDoesNotFit` where not even one fitted.
    public func readDirectory(
        _ handle: FileHandle, at offset: UInt64, as caller: Caller,
        _ encode: (borrowing DirectoryItem) -> Int?
    ) throws(FileError) -> Int {
        guard let mode = handle.openMode, mode.allowsReading else { throw .notOpen }
        guard handle.isDirectory else { throw .notADirectory }
        var listing = handle.lock.locked { handle.listing }
        if offset == 0 {
            listing = DirectoryListing()
        } else if offset != listing.offset {
            throw .badDirectoryOffset
        }
        let total: Int
        if let node = handle.node {
            total = try list(node, &listing, as: caller, encode)
        } else {
            total = try listDump(&listing, encode)
        }
        listing.offset += UInt64(total)
        handle.lock.locked { handle.listing = listing }
        return total
    }

    private func list(
        _ node: FileNode, _ listing: inout DirectoryListing, as caller: Caller,
        _ encode: (borrowing DirectoryItem) -> Int?
    ) throws(FileError) -> Int {
        let (isRemoved, isLost) = node.branch.lock.locked { (node.isRemoved, node.isLost) }
        if isLost { throw .removed }
        if isRemoved { return 0 }
        var total = 0
        var lastKey = listing.lastKey
        var isFull = false
        var fault: FileError?
        try node.branch.scan(
            prefix: Key.entryPrefix(node.qidPath), after: listing.lastKey,
            mayBlock: caller.mayBlock
        ) { key, value in
            let entry: DirectoryEntry
            do throws(FileError) {
                let found = try node.branch.entry(ofName: value, mayBlock: caller.mayBlock)
                guard let found else { return true }
                entry = found
            } catch {
                fault = error
                return false
            }
            let name = UnsafeRawBufferPointer(rebasing: key[11..<(key.count - 1)])
            guard let used = encode(DirectoryItem(entry: entry, name: name)) else {
                isFull = true
                return false
            }
            total += used
            // Only the last key of a call is kept: one copy a call, not one an entry.
            if lastKey != nil {
                lastKey?.removeAll(keepingCapacity: true)
                lastKey?.append(contentsOf: key)
            } else {
                lastKey = Array(key)
            }
            return true
        }
        if let fault { throw fault }
        if isFull, total == 0 { throw .recordDoesNotFit }
        listing.lastKey = lastKey
        return total
    }

    /// Whether a directory has no entries.
    func isEmptyDirectory(_ node: FileNode, as caller: Caller) throws(FileError) -> Bool {
        var isEmpty = true
        try node.branch.scan(
            prefix: Key.entryPrefix(node.qidPath), after: nil, mayBlock: caller.mayBlock
        ) { _, _ in
            isEmpty = false
            return false
        }
        return isEmpty
    }
}

extension Branch {
    /// Whether the active layer itself holds an entry of the directory. Lock held.
    func hasActiveChild(_ node: FileNode) -> Bool {
        let prefix = Key.entryPrefix(node.qidPath)
        return prefix.withBytes { prefix in
            var cursor = active.seek(prefix)
            while let item = active.next(&cursor) {
                guard item.key.starts(with: prefix) else { return false }
                if case .value = item.state { return true }
            }
            return false
        }
    }
}
