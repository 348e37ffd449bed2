import GefsFormat

extension BranchChanges {
    /// What is found below the branch's active layer before the changes are made.
    private struct Found {
        /// Values of the keys of all steps, in their order.
        var values: [[UInt8]?] = []
        var parents: [Parent] = []
        /// Data that goes, by qid.
        var data: [UInt64: DataKeys] = [:]
        /// A directory that must be there is gone.
        var isParentMissing = false
    }

    /// A directory that has no change of its own.
    private struct Parent {
        var qid: UInt64
        var isStamped: Bool
        var key: Key
        /// Below the active layer.
        var up: [UInt8]?
        /// Below the active layer.
        var entry: [UInt8]?
    }

    /// Makes the changes.
    ///
    /// - Returns: false, with nothing changed, where the branch is not as expected.
    func make(as caller: Caller) throws(FileError) -> Bool {
        let order = steps.keys.sorted()
        return try branch.update { (view: BelowView) throws(FileError) -> Found in
            try find(order, view)
        } _: { (found: Found) throws(FileError) -> Bool in
            try branch.checkWritable()
            guard let parents = try check(found, order) else { return false }
            try branch.take(
                promise(found, order), as: caller, drawsOnReserve: !bringsAnything)
            apply(found, order, parents, as: caller)
            return true
        }
    }

    private var bringsAnything: Bool {
        files.contains {
            $0.comingFile != nil || $0.change.contents != nil || $0.change.attributes != nil
        }
    }

    // MARK: Finding, without the lock

    private func find(_ order: [Key], _ view: BelowView) throws(FileError) -> Found {
        var found = Found()
        found.values.reserveCapacity(order.count)
        for key in order {
            found.values.append(try branch.valueBelow(key, view, mayBlock: true))
        }
        for (qid, isStamped) in otherParents {
            let up = Key.up(qid)
            guard let bytes = try branch.value(up, mayBlock: true) else {
                found.isParentMissing = true
                return found
            }
            let key = Key(bytes: bytes)
            found.parents.append(
                Parent(
                    qid: qid, isStamped: isStamped, key: key,
                    up: try branch.valueBelow(up, view, mayBlock: true),
                    entry: try branch.valueBelow(key, view, mayBlock: true)))
        }
        for file in files {
            if let qid = file.goingQid {
                found.data[qid] = try branch.dataKeysBelow(
                    qid, from: 0, limit: Branch.inlineClearMax, view, mayBlock: true)
            }
            if file.change.replacesContents, case .loaded(_, _, let cut) = file.contents,
                let qid = file.change.new?.qid
            {
                found.data[qid] = try branch.dataKeysBelow(
                    qid, from: cut, limit: Branch.inlineClearMax, view, mayBlock: true)
            }
        }
        return found
    }

    // MARK: Checking, with the lock

    /// The present entries of the parents; nil where something is not as expected.
    private func check(
        _ found: Found, _ order: [Key]
    ) throws(FileError) -> [DirectoryEntry]? {
        if found.isParentMissing || branch.switchCount != switchCount { return nil }
        for (key, below) in zip(order, found.values) {
            guard let step = steps[key],
                step.expected.isMet(by: branch.valueLocked(key, below: below))
            else { return nil }
        }
        for file in files where !isReady(file, found) { return nil }
        var entries: [DirectoryEntry] = []
        for parent in found.parents {
            guard branch.valueLocked(Key.up(parent.qid), below: parent.up) == parent.key.bytes,
                let bytes = branch.valueLocked(parent.key, below: parent.entry)
            else { return nil }
            entries.append(try branch.decodeEntry(bytes))
        }
        return entries
    }

    private func isReady(_ file: File, _ found: Found) -> Bool {
        guard let new = file.change.new else { return true }
        if case .staged = file.contents {
            return branch.staged.contains(new.qid) && branch.clears[new.qid] != nil
        }
        if file.comingFile != nil, !new.isDirectory {
            return branch.clears[new.qid] == nil && branch.nodes[new.qid] == nil
        }
        guard file.change.replacesContents, case .loaded(_, _, let cut) = file.contents else {
            return true
        }
        // A clear that is left to the reclaimer must not meet what comes now.
        let leavesClear = found.data[new.qid]?.hasMore ?? false
        let end = Geometry.blockCount(coveringBytes: new.length)
        return branch.clears[new.qid] == nil && (!leavesClear || cut == end)
    }

    private func promise(_ found: Found, _ order: [Key]) -> SpacePromise {
        var needed = SpacePromise()
        for key in order {
            switch steps[key]?.outcome {
            case .value(let bytes)?:
                needed += branch.promise(forPutting: key, valueBytes: bytes.count)
            default: needed += branch.promise(forPutting: key, valueBytes: 0)
            }
        }
        for parent in found.parents where parent.isStamped {
            needed += branch.promise(
                forPutting: parent.key, valueBytes: DirectoryEntry.posixByteCount)
        }
        for data in found.data.values {
            needed += branch.promise(forRemovingData: data.indices.count)
            // A record for the reclaimer.
            needed += SpacePromise(keys: 1, bytes: 64)
        }
        for file in files {
            switch file.contents {
            case .kept: break
            case .staged: needed += SpacePromise(keys: 1, bytes: 64)
            case .loaded(let blocks, let cleared, _):
                needed += branch.promise(forRemovingData: cleared.count)
                needed.dataBlocks += blocks.count
                needed.keys += blocks.isEmpty ? 0 : 1 + cleared.count
                needed.bytes += blocks.count * Key.dataRecordBytes
            }
        }
        return needed
    }

    // MARK: Making, with the lock

    private func apply(
        _ found: Found, _ order: [Key], _ entries: [DirectoryEntry], as caller: Caller
    ) {
        for file in files {
            if let old = file.change.old, old.qid != file.change.new?.qid {
                // Its attributes are gone; who has it open keeps its contents only.
                branch.nodes[old.qid]?.entry.posix?.hasAttributes = false
                branch.nodes[old.qid]?.isRemoved = true
            }
            if let qid = file.goingQid {
                branch.dropContents(of: qid, found.data[qid] ?? DataKeys())
            }
        }
        for (key, below) in zip(order, found.values) {
            switch steps[key]?.outcome {
            case .value(let bytes)?:
                branch.put(key, bytes, isNew: below == nil)
            default:
                if branch.valueLocked(key, below: below) != nil { branch.removeKey(key) }
            }
        }
        let directories = comingDirectories
        for (parent, entry) in zip(found.parents, entries) {
            var entry = entry
            if parent.isStamped {
                branch.stamp(&entry, as: caller)
                entry.countDirectories(directories[parent.qid] ?? 0)
                branch.put(entry, parent.key, isNew: parent.entry == nil)
            }
            branch.nodes[parent.qid]?.entry = entry
        }
        for file in files { bringContents(of: file, found) }
        updateNodes(found, entries)
        // Kernels may know any of it by now.
        branch.tell(.everything, as: Caller(user: .none))
    }

    /// How many directories come into each directory, less those that leave it.
    private var comingDirectories: [UInt64: Int] {
        var counts: [UInt64: Int] = [:]
        for file in files {
            if let old = file.change.old, old.isDirectory { counts[old.parent, default: 0] -= 1 }
            if let new = file.change.new, new.isDirectory { counts[new.parent, default: 0] += 1 }
        }
        return counts
    }

    private func bringContents(of file: File, _ found: Found) {
        guard let new = file.change.new else { return }
        switch file.contents {
        case .kept: break
        case .staged:
            guard let job = branch.clears.removeValue(forKey: new.qid) else { break }
            branch.removeKey(job.key)
            branch.staged.remove(new.qid)
        case .loaded(let blocks, let cleared, let cut):
            if file.change.replacesContents {
                let keys = found.data[new.qid] ?? DataKeys()
                branch.dropDirty(new.qid, from: cut)
                if keys.hasMore {
                    branch.startClear(new.qid, from: cut)
                } else {
                    branch.removeData(new.qid, keys.indices)
                }
            }
            branch.replace(blocks, cleared: cleared, of: new.qid)
        }
    }

    /// Files that somebody has open become what the layers hold.
    private func updateNodes(_ found: Found, _ entries: [DirectoryEntry]) {
        let placed = Dictionary(
            files.compactMap { file in file.change.new.map { ($0.qid, $0) } },
            uniquingKeysWith: { first, _ in first })
        for file in files {
            guard let new = file.change.new, let node = branch.nodes[new.qid] else { continue }
            // A directory that comes back is the one that somebody may still have open.
            node.isRemoved = false
            node.looseAttributes = [:]
            node.entry = new.entry
            node.holes = FileNode.holes(new.entry)
            node.hasNoCapability = false
            node.isLinked = new.isLinked
            node.hasCleanTail = false
            node.createdAtFreeze = nil
            // By whichever of its names it was first found, that one is right while it has it.
            let place = node.parent.map { FileName.Place(parent: $0.qidPath, name: node.name) }
            if let place, new.places.contains(place) { continue }
            node.name = new.name
            if let parent = node.parent, parent.qidPath != new.parent,
                let next = hold(new.parent, placed, found, entries)
            {
                node.parent = next
                // A directory, so that nothing is left to clear.
                _ = branch.release(parent)
            }
        }
    }
}

extension BranchChanges {
    /// The node of a directory with one more reference, made with those above it where nobody has
    /// it open.
    private func hold(
        _ qid: UInt64, _ placed: [UInt64: PlacedFile], _ found: Found, _ entries: [DirectoryEntry]
    ) -> FileNode? {
        if let node = branch.nodes[qid] {
            node.references += 1
            return node
        }
        var file = placed[qid]
        if file == nil, let index = found.parents.firstIndex(where: { $0.qid == qid }),
            case .entry(let parent, let name)? = found.parents[index].key.withBytes({
                try? DecodedKey($0)
            })
        {
            file = PlacedFile(parent: parent, name: name, entry: entries[index])
        }
        guard let file else { return nil }
        let parent = file.isRoot ? nil : hold(file.parent, placed, found, entries)
        if parent == nil, !file.isRoot { return nil }
        let node = branch.adopt(file.entry, name: file.name, parent: parent)
        // The node holds its parent itself.
        parent?.references -= 1
        return node
    }
}

extension Branch {
    /// Lets the data of a file go that has lost its entry. Lock held.
    fileprivate func dropContents(of qid: UInt64, _ data: DataKeys) {
        let isHeld = (nodes[qid]?.handles ?? 0) > 0
        if isHeld {
            startClear(qid, from: 0)
            return
        }
        dropDirty(qid, from: 0)
        if data.hasMore || clears[qid] != nil {
            startClear(qid, from: 0)
        } else {
            removeData(qid, data.indices)
        }
    }

    /// Lets blocks come and others become holes. Lock held.
    fileprivate func replace(_ blocks: [LoadedBlock], cleared: [UInt64], of qid: UInt64) {
        for index in cleared {
            // Only the block of a tail that was made clean can be dirty: its file is unchanged.
            if let block = dirty.block(qid, index) {
                block.clear(from: 0)
            } else {
                removeData(qid, CollectionOfOne(index))
            }
        }
        for block in blocks { dirty.insert(block.buffer, qid, block.index) }
    }

    /// A change of a directory's entries, or of a file. Lock held.
    fileprivate func stamp(_ entry: inout DirectoryEntry, as caller: Caller) {
        entry.qidVersion &+= 1
        entry.modificationTime = volume.now()
        entry.posix?.changeTime = entry.modificationTime
        entry.muid = caller.user.rawValue
    }
}
