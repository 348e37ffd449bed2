import GefsFormat

extension Volume {
    /// Turns a branch's working state into a snapshot that its label names, as part of a commit.
    ///
    /// Source: FORMAT 8.4, "Advance"; what the label leaves is dropped unless something else
    /// depends on it.
    func advance(_ branch: Branch, in work: CommitWork) throws(FileError) {
        guard let generation = branch.working else { return }
        let old = history.record(branch.record.generation) ?? branch.record
        let root = branch.lock.locked { branch.version.root }
        var next = SnapshotRecord(
            referenceCount: 0, labelCount: 1, height: UInt32(root.height), flags: 0,
            generation: generation, predecessor: old.predecessor, successor: .none,
            base: old.base, root: root.pointer)
        let (isDropped, before) = history.read {
            ($0.isOnlyHeld(old, by: branch.label), $0.heldBefore(old))
        }
        if isDropped {
            try dropSuperseded(old, by: next, before, branch, work)
        } else {
            next.predecessor = old.generation
            history.change { graph in
                var kept = old
                kept.successor = generation
                graph.put(kept)
                graph.put(next)
            }
            try list(branch.kills, as: generation, work)
        }
        work.touch(old.generation, generation)
        noteSize(of: branch, next)
        if let label = branch.label {
            try setLabel(
                label, LabelRecord(generation: generation, flags: branch.labelFlags), time: nil,
                work)
        } else {
            work.release(generation)
        }
        settle(branch, next, work)
    }

    /// Drops `old` in favour of its successor. Source: FORMAT 8.4, "Drop", steps 1 to 3.
    private func dropSuperseded(
        _ old: SnapshotRecord, by next: SnapshotRecord, _ before: Generation, _ branch: Branch,
        _ work: CommitWork
    ) throws(FileError) {
        replaceInLine(old, by: next, work)
        try inherit(
            from: old.generation, by: next.generation, before: before, isNew: true, work)
        var kept: [Generation: [BlockAddress]] = [:]
        for (birth, addresses) in branch.kills {
            if Self.isHeld(birth: birth, before: before) {
                kept[birth] = addresses
            } else {
                for address in addresses where !isReused(address, since: birth) {
                    retire(address, work)
                }
            }
        }
        try list(kept, as: next.generation, work)
    }

    /// Adds the blocks that a branch stopped using to the deadlists of its new snapshot.
    private func list(
        _ kills: [Generation: [BlockAddress]], as generation: Generation, _ work: CommitWork
    ) throws(FileError) {
        for birth in kills.keys.sorted() {
            let addresses = kills[birth] ?? []
            if hasRoomForLists {
                try extendDeadlist(generation, birth, by: addresses, work)
            } else {
                unlisted.add(addresses, generation, birth)
            }
        }
    }

    private func noteSize(of branch: Branch, _ record: SnapshotRecord) {
        if let size = branch.size.now {
            history.change { $0.sizes[record.generation] = size }
        } else {
            branch.size.mark(record.generation)
        }
    }

    /// The branch goes on from its new snapshot; readers of older versions keep what was retired.
    private func settle(_ branch: Branch, _ record: SnapshotRecord, _ work: CommitWork) {
        let next = TreeVersion(
            root: TreeRoot(pointer: record.root, height: Int(record.height)), queue: reclaimQueue)
        replaceVersion(of: branch, by: next, retiring: work.takeRetired())
        branch.record = record
        branch.working = nil
        branch.kills = [:]
    }

    func replaceVersion(
        of branch: Branch, by next: TreeVersion, retiring blocks: [RetiredBlock]
    ) {
        let old = branch.lock.locked { () -> TreeVersion in
            let old = branch.version
            old.bag.close(blocks, next: next.bag, holding: droppedBag)
            branch.version = next
            return old
        }
        // Released outside of the lock: its bag may empty itself.
        withExtendedLifetime(old) {}
    }
}

extension HistoryGraph {
    /// Whether nothing but one label keeps a record, which is about to move on.
    func isOnlyHeld(_ record: SnapshotRecord, by label: [UInt8]?) -> Bool {
        let others = labelCount(of: record.generation)
        let isOwn = label.map { labels[$0]?.generation == record.generation } ?? false
        return record.generation != .zero && others == (isOwn ? 1 : 0)
            && !hasForks(record.generation) && successor(of: record) == nil
    }
}
