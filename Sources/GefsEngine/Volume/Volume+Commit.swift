import GefsFormat

extension Volume {
    /// Makes everything acknowledged so far durable. Flush thread only.
    ///
    /// The order closes a circle: lists need blocks, blocks need log entries, and the snapshot
    /// tree's own flush kills blocks which need a list. Nothing changes a tree after the snapshot
    /// tree has been flushed. Source: FORMAT 9; ARCHITECTURE, "Commit".
    func commit() throws(FileError) {
        let (number, asked) = startCommit()
        let work = CommitWork(number: number)
        admit(asked, work)
        var branches = changed.freezeAll()
        if let left = work.detached { branches.append(left) }
        try moveLabels(work)
        // Where blocks go and which generations are taken is the same each time.
        branches.sort { $0.record.generation < $1.record.generation }
        for branch in branches { try flush(branch) }
        lock.locked { requests.hasUncommitted = false }
        for branch in branches { try advance(branch, in: work) }
        try performHistory(work)
        try dropReleased(work)
        try listUnlisted(work)
        if mendsDeadlists { try mendDeadlists(work) }
        for generation in countedSizes { work.touch(generation) }
        countedSizes = []
        try writeRecords(work)
        try flushSnapshots(work)
        for address in arenas.planCompression() { retire(address, work) }
        // What the pending list names must not be handed out again before the list is durable.
        isReclaimPaused = true
        defer { isReclaimPaused = false }
        let pending = try writePendingList(work)
        waiting.append(contentsOf: work.takeRetired())
        holdDropped(work)
        try makeDurable(work, pending)
        lock.locked { requests.hasLeftovers = hasLeftovers }
        isReclaimPaused = false
        forgetIdleBranches()
        reclaim()
    }

    private func startCommit() -> (number: UInt64, asked: [HistoryRequest]) {
        lock.locked {
            requests.started += 1
            requests.wantsCommit = false
            return (requests.started, takeHistoryRequests())
        }
    }

    /// What only dropped snapshots held may still be read by somebody who began with an earlier
    /// version of any branch: it waits for all of them. The versions that are current are those of
    /// labels, and hold none of it.
    private func holdDropped(_ work: CommitWork) {
        guard !work.dropped.isEmpty else { return }
        let next = RetiredBag(queue: reclaimQueue)
        droppedBag.close(work.dropped, next: next)
        droppedBag = next
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
        try takeBacklog(work)
        let first = work.queue.blockCount
        let list = try prepend(retired.keys.sorted()[...], to: backlog.list, work)
        pendingListBlocks = work.queue.blocks[first...].map(\.address)
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
        // Numbers can come to their end on a disk that somebody has made up: then the last commit is
        // the last, and not one that nobody can read.
        if let fault = next.fault {
            throw .store(.corrupt(CorruptBlock(BlockAddress(rawValue: 0), .superblock, fault)))
        }
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
        announce(work)
        do throws(DeviceError) {
            // Copies: the next flush covers them.
            let backup = DeviceLayout.backupSuperblock(deviceBytes: device.byteCount)
            try device.write([encoded(next, at: BlockAddress(rawValue: backup))])
            try device.write(logs.footers)
        } catch {
            throw .device(error)
        }
    }

    /// Tells all who wait for the commit, before anything else can fail.
    private func announce(_ work: CommitWork) {
        durableCommit = work.number
        lock.locked {
            requests.durable = work.number
            lock.signal()
        }
        answer(work.requests, .success(()))
    }
}
