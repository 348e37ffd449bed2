import GefsFormat

extension Volume {
    /// Makes everything acknowledged so far durable. Flush thread only.
    ///
    /// The order closes a circle: lists need blocks, blocks need log entries, and the snapshot
    /// tree's own flush kills blocks which need a list. Nothing changes a tree after the snapshot
    /// tree has been flushed. Source: FORMAT 9; ARCHITECTURE, "Commit".
    func commit() throws(FileError) {
        let work = CommitWork(number: startCommit())
        let branches = freezeAll()
        for branch in branches { try flush(branch) }
        lock.locked { requests.hasUncommitted = false }
        for branch in branches { try advance(branch, in: work) }
        try flushSnapshots(work)
        for address in arenas.planCompression() { retire(address, work) }
        // What the pending list names must not be handed out again before the list is durable.
        isReclaimPaused = true
        defer { isReclaimPaused = false }
        let pending = try writePendingList(work)
        waiting.append(contentsOf: work.takeRetired())
        try makeDurable(work, pending)
        isReclaimPaused = false
        reclaim()
    }

    private func startCommit() -> UInt64 {
        lock.locked {
            requests.started += 1
            requests.wantsCommit = false
            return requests.started
        }
    }

    /// Closes the active layers of all branches at one instant.
    private func freezeAll() -> [Branch] {
        let all = lock.locked { branches.values.filter(\.isMutable) }
            .sorted { $0.label.lexicographicallyPrecedes($1.label) }
        for branch in all { branch.lock.lock() }
        for branch in all { branch.freeze() }
        for branch in all { branch.lock.unlock() }
        return all
    }

    private func flushSnapshots(_ work: CommitWork) throws(FileError) {
        let batch = snapshots.batch()
        guard batch.count > 0 else { return }
        let flush = TreeFlush(self, generation: .zero)
        let root: TreeRoot
        do throws(TreeError) {
            root = try Tree.apply(batch, to: snapshots.version.root, target: flush)
        } catch {
            flush.abandon()
            throw FileError(error)
        }
        try flush.writeQueued()
        let kept = work.takeRetired()
        for pointer in flush.killed { retire(pointer.address, work) }
        snapshots.publish(root, retiring: work.takeRetired())
        work.retired = kept
    }

    /// Writes down every block that is allocated but unreachable, so that a stop or a crash leaks
    /// none of them. The list's own blocks go onto the next list. Source: FORMAT 8.5.
    private func writePendingList(_ work: CommitWork) throws(FileError) -> DeadlistRecord {
        for address in pendingListBlocks { retire(address, work) }
        pendingListBlocks = []
        var list = DeadlistRecord(head: .none, tail: .none)
        if !retired.isEmpty {
            list = try extendChain(list, retired.keys.sorted(), work)
            pendingListBlocks = work.queue.addresses(of: list)
        }
        do throws(DeviceError) {
            try work.queue.write(to: device)
        } catch {
            throw .device(error)
        }
        return list
    }

    /// Logs, headers and superblocks in the order of FORMAT 9.2, with its flushes.
    private func makeDurable(
        _ work: CommitWork, _ pending: DeadlistRecord
    ) throws(FileError) {
        var next = superblock
        next.nextGeneration = nextGeneration
        next.nextQid = qidCounter.load(ordering: .relaxed)
        next.snapshotTreeRoot = snapshots.version.root.pointer
        next.snapshotTreeHeight = UInt32(snapshots.version.root.height)
        next.pendingHead = pending.head
        next.pendingTail = pending.tail
        next.commitGeneration =
            max(superblock.commitGeneration, arenas.highestBarrier) + 1
        let logs: ArenaCommit
        do throws(StoreError) {
            logs = try arenas.prepareCommit(
                barrier: next.commitGeneration, lastDurable: superblock.commitGeneration)
        } catch {
            throw .store(error)
        }
        next.arenas = logs.references
        do throws(DeviceError) {
            try device.write(logs.blocks)
            if logs.needsFlushBeforeLinks { try device.flush() }
            try device.write(logs.links + logs.linksAfterFlush + logs.headers)
            try device.flush()
            try device.write([encoded(next, at: BlockAddress(rawValue: 0))])
            try device.flush()
        } catch {
            throw .device(error)
        }
        superblock = next
        arenas.didCommit()
        announce(work.number)
        do throws(DeviceError) {
            // Copies: the next flush covers them.
            let backup = DeviceLayout.backupSuperblock(deviceBytes: device.byteCount)
            try device.write([encoded(next, at: BlockAddress(rawValue: backup))])
            try device.write(logs.footers)
        } catch {
            throw .device(error)
        }
    }

    private func announce(_ number: UInt64) {
        durableCommit = number
        lock.locked {
            requests.durable = number
            lock.signal()
        }
    }
}

extension WriteQueue {
    /// Addresses of the queued blocks that belong to `list`, which was just written.
    func addresses(of list: DeadlistRecord) -> [BlockAddress] {
        // The pending list is the last thing queued: from its tail to its head.
        guard let first = blocks.firstIndex(where: { $0.address == list.tail.address }) else {
            return []
        }
        return blocks[first...].map(\.address)
    }
}
