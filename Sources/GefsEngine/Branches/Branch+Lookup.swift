import GefsFormat

extension Branch {
    /// Value of a key below the active layer; nil where it is absent.
    func valueBelow(
        _ key: Key, _ view: BelowView, mayBlock: Bool
    ) throws(FileError) -> [UInt8]? {
        for layer in view.frozen.reversed() {
            switch key.withBytes({ layer.memtable.lookup($0) }) {
            case .absent: continue
            case .removed: return nil
            case .value(let bytes): return Array(bytes)
            }
        }
        return try volume.lookup(key, in: view.version.root, mayBlock: mayBlock)
    }

    /// Value of a key through all layers.
    func value(_ key: Key, mayBlock: Bool) throws(FileError) -> [UInt8]? {
        lock.lock()
        switch key.withBytes({ active.lookup($0) }) {
        case .value(let bytes):
            defer { lock.unlock() }
            return Array(bytes)
        case .removed:
            lock.unlock()
            return nil
        case .absent:
            let view = below
            lock.unlock()
            return try valueBelow(key, view, mayBlock: mayBlock)
        }
    }

    /// Like `value`, under the lock, with what is known from below.
    func valueLocked(_ key: Key, below: [UInt8]?) -> [UInt8]? {
        switch key.withBytes({ active.lookup($0) }) {
        case .value(let bytes): Array(bytes)
        case .removed: nil
        case .absent: below
        }
    }

    /// Directory entry of a name through all layers.
    func entry(_ key: Key, mayBlock: Bool) throws(FileError) -> DirectoryEntry? {
        guard let bytes = try value(key, mayBlock: mayBlock) else { return nil }
        return try bytes.withBytes { (bytes) throws(FileError) -> DirectoryEntry? in
            try entry(ofName: bytes, mayBlock: mayBlock)
        }
    }

    /// The entry of the file that a name stands for, by the name's value. Nil where it has several
    /// names and was removed meanwhile.
    func entry(
        ofName value: UnsafeRawBufferPointer, mayBlock: Bool
    ) throws(FileError) -> DirectoryEntry? {
        if let link = LinkRecord(value) {
            let bytes = try self.value(Key.inode(link.qidPath), mayBlock: mayBlock)
            guard let bytes else { return nil }
            return try decodeEntry(bytes)
        }
        do throws(RecordError) {
            return try DirectoryEntry(decoding: value)
        } catch {
            throw .badRecord(error, root: record.root.address)
        }
    }

    func decodeEntry(_ bytes: [UInt8]) throws(FileError) -> DirectoryEntry {
        do throws(RecordError) {
            return try bytes.withBytes { (raw) throws(RecordError) -> DirectoryEntry in
                try DirectoryEntry(decoding: raw)
            }
        } catch {
            throw .badRecord(error, root: record.root.address)
        }
    }

    // MARK: Nodes

    /// The node of an entry, with one more reference. To be called with the lock held.
    ///
    /// - Parameter isLinked: whether the entry lies under a key of its own.
    func adopt(
        _ entry: DirectoryEntry, name: [UInt8], parent: FileNode?, isLinked: Bool = false
    ) -> FileNode {
        if let node = nodes[entry.qidPath] {
            node.references += 1
            return node
        }
        let node = FileNode(
            branch: self, parent: parent, name: name, entry: entry, isLinked: isLinked)
        if node.entry.posix == nil {
            // Made before the disk had a place for it.
            node.entry.posix = posixPart(at: entry.modificationTime)
        }
        node.references = 1
        parent?.references += 1
        nodes[entry.qidPath] = node
        return node
    }

    /// Gives a reference back. To be called with the lock held. Returns the job that the last
    /// reference of a removed file leaves behind.
    func release(_ node: FileNode) -> ClearJob? {
        var job: ClearJob?
        var current: FileNode? = node
        while let node = current {
            node.references -= 1
            guard node.references == 0 else { break }
            if nodes[node.qidPath] === node { nodes[node.qidPath] = nil }
            if node.isRemoved, let waiting = clears[node.qidPath] { job = waiting }
            current = node.parent
        }
        return job
    }
}
