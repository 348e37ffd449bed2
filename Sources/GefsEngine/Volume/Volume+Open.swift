import GefsFormat

/// A disk's last commit, as it was found.
struct LoadedVolume {
    var superblock: Superblock
    var arenas: ArenaSet
    var pool: BlockBufferPool
    /// What was not as it should be, for the operator.
    var notes: [String] = []
}

extension Volume {
    /// Loads the last whole commit of a device and makes it ready for writing.
    static func open(
        _ device: any BlockDevice, options: VolumeOptions
    ) throws(FileError) -> Volume {
        let loaded = try load(device)
        let volume = Volume(device: device, options: options, loaded: loaded)
        try volume.loadRecords()
        if !volume.isReadOnly {
            try volume.repairCopies()
            try volume.loadPendingList()
        }
        return volume
    }

    private static func load(_ device: any BlockDevice) throws(FileError) -> LoadedVolume {
        let pool = BlockBufferPool(idleBytesMax: idleBytesMax)
        do throws(StoreError) {
            let found = try ArenaSet.load(from: device, pool: pool)
            var loaded = LoadedVolume(
                superblock: found.superblock, arenas: found.arenas, pool: pool)
            if case .failure(let fault) = found.pair.primary {
                loaded.notes.append("the backup superblock is used: \(fault)")
            } else if !found.pair.agree {
                loaded.notes.append("the last commit was interrupted")
            }
            return loaded
        } catch {
            throw .store(error)
        }
    }

    /// Bytes of block memory that are kept for reuse.
    private static let idleBytesMax = 32 << 20

    /// Everything that a crash may have left stale. Source: FORMAT 9.4.
    private func repairCopies() throws(FileError) {
        let pair = SuperblockPair(reading: device)
        var writes = arenas.repairsAtOpen()
        if case .success(superblock) = pair.primary {
        } else {
            writes.append(encoded(superblock, at: BlockAddress(rawValue: 0)))
        }
        if case .success(superblock) = pair.backup {
        } else {
            writes.append(encoded(superblock, at: pair.backupAddress))
        }
        guard !writes.isEmpty else { return }
        do throws(DeviceError) {
            try device.write(writes)
            try device.flush()
        } catch {
            throw .device(error)
        }
        arenas.didRepair()
    }

    func encoded(_ superblock: Superblock, at address: BlockAddress) -> StoreWrite {
        let buffer = newBuffer()
        superblock.encode(into: buffer.mutableBytes)
        return StoreWrite(at: address, buffer)
    }

    /// Snapshot records and label counts, and the dialect that they show. Source: FORMAT 11.
    private func loadRecords() throws(FileError) {
        for record in try snapshots.records() { records[record.generation] = record }
        for label in try snapshots.labels() {
            labelCounts[label.record.generation, default: 0] += 1
        }
        let hasForeignLink = records.values.contains {
            $0.generation != .zero && $0.predecessor.isNone
        }
        dialect = hasForeignLink ? .n : .r
        if dialect == .r, try hasControlFiles() { dialect = .n }
    }

    /// Whether label `adm` holds the files `ctl` and `status` of dialect N.
    private func hasControlFiles() throws(FileError) -> Bool {
        guard let label = try snapshots.label(Array("adm".utf8)),
            let record = records[label.generation]
        else { return false }
        let root = TreeRoot(pointer: record.root, height: Int(record.height))
        guard
            let bytes = try lookup(
                Key.entry(parent: .max, name: [UInt8]()), in: root, mayBlock: true),
            let entry = bytes.withUnsafeBytes({ try? DirectoryEntry(decoding: $0) })
        else { return false }
        for name in ["ctl", "status"] {
            let key = Key.entry(parent: entry.qidPath, name: Array(name.utf8))
            guard try lookup(key, in: root, mayBlock: true) != nil else { return false }
        }
        return true
    }

    /// Takes over the blocks that the last commit left to be freed.
    private func loadPendingList() throws(FileError) {
        let list = DeadlistRecord(head: superblock.pendingHead, tail: superblock.pendingTail)
        guard !list.isEmpty else { return }
        var entries: Set<BlockAddress> = []
        do throws(FileError) {
            try walkChain(list) { block, address in
                pendingListBlocks.append(address)
                for index in 0..<block.addressCount {
                    if let entry = try? block.deadAddress(index) { entries.insert(entry) }
                }
            }
        } catch {
            // A list that cannot be read costs the space of its blocks, nothing else.
            log("the list of pending frees is lost: \(error)")
        }
        entries.subtract(pendingListBlocks)
        // The committed state does not reach them: free at once, for use by the next commit.
        for address in entries where isAllocated(address) { free(address) }
    }

    // MARK: Branches

    /// The branch of a label, opened when it is first asked for.
    func branch(_ label: [UInt8], mayBlock: Bool) throws(FileError) -> Branch {
        if let branch = lock.locked({ branches[label] }) { return branch }
        guard mayBlock else { throw .wouldBlock }
        guard let named = try snapshots.label(label),
            let record = try snapshots.record(named.generation)
        else { throw .unknownLabel }
        let branch = Branch(
            volume: self, label: label, isMutable: named.isMutable, record: record)
        ledger.noteHeight(Int(record.height))
        let (kept, isNew) = lock.locked { () -> (Branch, Bool) in
            if let other = branches[label] { return (other, false) }
            branches[label] = branch
            return (branch, true)
        }
        if isNew, kept.isMutable, !isReadOnly { try kept.recoverClears() }
        return kept
    }

    /// Ends the threads without a commit and closes the device.
    func stop() {
        reclaimer.finish()
        lock.locked {
            requests.isStopping = true
            lock.signal()
        }
        flushThread?.join()
        flushThread = nil
        device.close()
    }
}
