import GefsFormat

extension Volume {
    /// Turns a branch's working state into a snapshot that its label names, as part of a commit.
    ///
    /// Source: FORMAT 8.4, "Advance"; what the label leaves is dropped unless something else
    /// depends on it.
    func advance(
        _ branch: Branch, in commit: CommitWork
    ) throws(FileError) {
        guard let generation = branch.working else { return }
        let old = records[branch.record.generation] ?? branch.record
        let root = branch.lock.locked { branch.version.root }
        var next = SnapshotRecord(
            referenceCount: 0, labelCount: 1, height: UInt32(root.height), flags: 0,
            generation: generation, predecessor: old.predecessor, successor: .none,
            base: old.base, root: root.pointer)
        let isDropped = isOnlyHeld(old, by: branch)
        if isDropped {
            try relinkPredecessor(of: old, to: generation)
            try dropSuperseded(old, by: generation, branch, commit)
        } else {
            next.predecessor = old.generation
            try keep(old, before: generation)
            for birth in branch.kills.keys.sorted() {
                try extendDeadlist(
                    generation, birth, from: nil, branch.kills[birth] ?? [], commit)
            }
        }
        try put(next)
        let label = LabelRecord(generation: generation, flags: LabelRecord.flagMutable)
        try snapshots.put(Key.label(branch.label), label.encoded())
        labelCounts[old.generation, default: 1] -= 1
        labelCounts[generation, default: 0] += 1
        settle(branch, next, commit)
    }

    /// Whether nothing but the branch's own label keeps a snapshot.
    ///
    /// Counts on disk are not trusted (SEMANTICS 12.24): labels and dependants are counted.
    private func isOnlyHeld(_ record: SnapshotRecord, by branch: Branch) -> Bool {
        guard record.generation != .zero, record.referenceCount == 0,
            labelCounts[record.generation] ?? 1 <= 1
        else { return false }
        return !records.values.contains {
            $0.generation != record.generation
                && ($0.predecessor == record.generation || $0.base == record.generation)
        }
    }

    /// The snapshot before `old` gets a new successor, if it knows `old` as such.
    private func relinkPredecessor(
        of old: SnapshotRecord, to generation: Generation
    ) throws(FileError) {
        guard var before = records[old.predecessor], before.successor == old.generation else {
            return
        }
        before.successor = generation
        try put(before)
    }

    /// `old` stays, as the predecessor of what the label names now.
    private func keep(_ old: SnapshotRecord, before generation: Generation) throws(FileError) {
        var kept = old
        kept.successor = generation
        if kept.labelCount > 0 { kept.labelCount -= 1 }
        // N counts forks alone: FORMAT 11.
        if dialect == .r { kept.referenceCount += 1 }
        try put(kept)
    }

    /// Drops `old` in favour of its successor. Source: FORMAT 8.4, "Drop", steps 1 to 3.
    private func dropSuperseded(
        _ old: SnapshotRecord, by generation: Generation, _ branch: Branch, _ commit: CommitWork
    ) throws(FileError) {
        try snapshots.remove(Key.snapshot(old.generation))
        records[old.generation] = nil
        let before = old.predecessor.isNone ? old.base : old.predecessor
        var kills = branch.kills
        for list in try deadlists(of: old.generation) {
            if list.birth <= before {
                try extendDeadlist(
                    generation, list.birth, from: list, kills.removeValue(forKey: list.birth) ?? [],
                    commit)
            } else {
                try snapshots.remove(Key.deadlist(old.generation, birth: list.birth))
                try free(list, commit)
            }
        }
        for birth in kills.keys.sorted() {
            let addresses = kills[birth] ?? []
            if birth <= before {
                try extendDeadlist(generation, birth, from: nil, addresses, commit)
            } else {
                for address in addresses { retire(address, commit) }
            }
        }
    }

    private func put(_ record: SnapshotRecord) throws(FileError) {
        records[record.generation] = record
        try snapshots.put(record)
    }

    /// The branch goes on from its new snapshot; readers of older versions keep what was retired.
    private func settle(_ branch: Branch, _ record: SnapshotRecord, _ commit: CommitWork) {
        let next = TreeVersion(
            root: TreeRoot(pointer: record.root, height: Int(record.height)), queue: reclaimQueue)
        let old = branch.lock.locked { () -> TreeVersion in
            let old = branch.version
            old.bag.close(commit.takeRetired(), next: next.bag)
            branch.version = next
            return old
        }
        withExtendedLifetime(old) {}
        branch.record = record
        branch.working = nil
        branch.kills = [:]
    }
}
