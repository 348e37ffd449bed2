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
    ///
    /// A volume that is only read is opened as long as anything of it can be: free maps are not
    /// needed, and of a damaged snapshot tree what is left of labels and records is.
    static func open(
        _ device: any BlockDevice, options: VolumeOptions
    ) throws(FileError) -> Volume {
        let loaded = try load(device, options)
        let volume = Volume(device: device, options: options, loaded: loaded)
        do throws(FileError) {
            try volume.loadHistory()
        } catch {
            guard volume.isReadOnly, volume.salvageHistory() else { throw error }
            volume.noteAtOpen("labels may be missing: \(error)")
        }
        if !volume.isReadOnly {
            try volume.repairCopies()
            try volume.loadPendingList()
            do throws(FileError) {
                try volume.loadFirstBlocks()
            } catch {
                volume.log("the first snapshot cannot be read: \(error)")
            }
        }
        return volume
    }

    private static func load(
        _ device: any BlockDevice, _ options: VolumeOptions
    ) throws(FileError) -> LoadedVolume {
        let isReadOnly = options.isReadOnly || device.isReadOnly
        let pool = options.pool ?? BlockBufferPool(idleBytesMax: idleBytesMax)
        var faults: [StoreError] = []
        do throws(StoreError) {
            let found = try ArenaSet.load(
                from: device, pool: pool, skipping: isReadOnly ? { faults.append($0) } : nil)
            var loaded = LoadedVolume(
                superblock: found.superblock, arenas: found.arenas, pool: pool)
            loaded.notes = faults.map { "an arena's free map is unknown: \($0)" }
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

    /// Labels and snapshot records, and the dialect that they show. Source: FORMAT 11.
    private func loadHistory() throws(FileError) {
        var graph = HistoryGraph()
        for record in try snapshots.records() { graph.put(record) }
        for label in try snapshots.labels() { graph.setLabel(label.name, label.record) }
        for pair in try snapshots.pairs(Key.config(LabelTime.keyPrefix).bytes) {
            let name = Array(pair.key.dropFirst(1 + LabelTime.keyPrefix.count))
            guard graph.labels[name] != nil else { continue }
            graph.times[name] = Int64(String(decoding: pair.value, as: UTF8.self))
        }
        // Those that the original made tell their time by their names.
        for (name, label) in graph.labels where !label.isMutable && graph.times[name] == nil {
            graph.times[name] = SnapshotTime(name: name)?.nanoseconds
        }
        for pair in try snapshots.pairs(Key.config(TreeSize.keyPrefix).bytes) {
            let digits = pair.key.dropFirst(1 + TreeSize.keyPrefix.count)
            guard let number = UInt64(String(decoding: digits, as: UTF8.self), radix: 16) else {
                continue
            }
            let generation = Generation(rawValue: number)
            if graph.records[generation] != nil { graph.sizes[generation] = TreeSize(pair.value) }
        }
        let hasForeignLink = graph.records.values.contains {
            $0.generation != .zero && $0.predecessor.isNone
        }
        // What nothing needs any more: upstream leaves such records, and so does a crash of ours.
        dropQueue = graph.droppable
        mended.droppedSnapshots = dropQueue.count
        history.change { $0 = graph }
        dialect = hasForeignLink ? .n : .r
        if dialect == .r {
            do throws(FileError) {
                if try hasControlFiles() { dialect = .n }
            } catch {
                // The records are proof enough wherever the two dialects' counts differ.
                noteAtOpen("label adm cannot be read: \(error)")
            }
        }
        miscounted = graph.records.values.filter { graph.isMiscounted($0, in: dialect) }
            .map(\.generation).sorted()
        mended.correctedCounts = miscounted.count
        guard !isReadOnly else { return }
        if !dropQueue.isEmpty {
            noteAtOpen("\(dropQueue.count) snapshots without a label are dropped")
        }
        if !miscounted.isEmpty {
            noteAtOpen("\(miscounted.count) snapshots have wrong counts, which are corrected")
        }
    }

    /// Takes labels and records from what can be read of the snapshot tree.
    ///
    /// - Returns: whether there are any.
    private func salvageHistory() -> Bool {
        let log = FindingLog(perKindMax: 1)
        guard let source = ClosedDevice(device, log: log) else { return false }
        let found = CheckRun.reading(source)
        var graph = HistoryGraph()
        for snapshot in found.snapshots { graph.put(snapshot.record) }
        for label in found.labels where graph.records[label.record.generation] != nil {
            graph.setLabel(Array(label.key.bytes.dropFirst()), label.record)
        }
        history.change { $0 = graph }
        return !graph.labels.isEmpty
    }

    /// Whether label `adm` holds the files `ctl` and `status` of dialect N.
    private func hasControlFiles() throws(FileError) -> Bool {
        guard let record = history.read({ $0.record(ofLabel: LabelName.adm) }) else {
            return false
        }
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

    /// Frees the blocks that the last commit left to be freed: it does not reach them.
    ///
    /// The blocks of the list itself stay, since a crash before the next commit needs the list again.
    private func loadPendingList() throws(FileError) {
        let list = DeadlistRecord(head: superblock.pendingHead, tail: superblock.pendingTail)
        guard !list.isEmpty else { return }
        var own: Set<BlockAddress> = []
        do throws(FileError) {
            try walkChain(list) { _, address in own.insert(address) }
            try walkChain(list) { block, _ in
                for entry in block.deadAddresses where !own.contains(entry) && isAllocated(entry) {
                    free(entry)
                }
            }
        } catch {
            // A list that cannot be read costs the space of its blocks, nothing else.
            log("the list of pending frees is lost: \(error)")
        }
        pendingListBlocks = own.sorted()
    }

    // MARK: Branches

    /// The branch of a label, opened when it is first asked for, with one user more.
    func use(_ label: [UInt8], mayBlock: Bool) throws(FileError) -> Branch {
        while true {
            let branch = try branch(label, mayBlock: mayBlock)
            guard branch.lock.locked({ branch.addUser() }) else { continue }
            return branch
        }
    }

    /// The branch of a label, opened when it is first asked for.
    func branch(_ label: [UInt8], mayBlock: Bool) throws(FileError) -> Branch {
        while true {
            if let branch = lock.locked({ branches[label] }) { return branch }
            guard mayBlock else { throw .wouldBlock }
            lock.locked {
                while leaving.contains(label), failure == nil, !requests.isStopped { lock.wait() }
            }
            let (named, record) = history.read { ($0.labels[label], $0.record(ofLabel: label)) }
            guard let named, let record else { throw .unknownLabel }
            let branch = Branch(
                volume: self, label: label, isMutable: named.isMutable, record: record)
            ledger.noteHeight(Int(record.height))
            let isNew = lock.locked { () -> Bool in
                // Meanwhile somebody else may have opened, renamed or deleted it.
                guard branches[label] == nil, !leaving.contains(label),
                    history.label(label) == named
                else { return false }
                branches[label] = branch
                return true
            }
            guard isNew else { continue }
            unused.add(branch)
            if branch.isMutable, !isReadOnly {
                do throws(FileError) {
                    try branch.recoverClears()
                } catch {
                    // Their blocks stay allocated, and nothing else suffers.
                    log("what is left to be reclaimed of removed files is not known: \(error)")
                }
            }
            return branch
        }
    }

    /// Forgets branches that nobody uses: another one is opened when somebody asks again.
    func forgetIdleBranches() {
        for branch in unused.take() {
            if branch.retireIfIdle() {
                lock.locked {
                    if let label = branch.label, branches[label] === branch {
                        branches[label] = nil
                    }
                }
            } else if branch.lock.locked({ branch.userCount == 0 && !branch.isRetired }) {
                unused.add(branch)
            }
        }
    }

    /// Ends the threads without a commit and closes the device.
    func stop() {
        scrubber.finish()
        scheduler.finish()
        reclaimer.finish()
        lock.locked {
            requests.isStopping = true
            lock.signal()
        }
        flushThread?.join()
        flushThread = nil
        unused.stop()
        device.close()
    }
}
