import GefsFormat

/// What disks of the original have that should not be there, and what has become of it.
struct MendedHistory: Sendable {
    /// Snapshots that no label named.
    var droppedSnapshots = 0
    /// Snapshot records that counted labels or forks wrongly.
    var correctedCounts = 0
    /// Deadlists of no snapshot, or of blocks that their own snapshot holds.
    var discardedLists = 0
}

extension Volume {
    /// Forgets deadlists that make no sense; what only they knew is leaked then, and is found as such.
    ///
    /// Upstream leaves lists of blocks that the list's own snapshot holds (FORMAT 8.4): freeing them
    /// would be wrong.
    func mendDeadlists(_ work: CommitWork) throws(FileError) {
        mendsDeadlists = false
        for pair in try snapshots.pairs([KeyKind.deadlist.rawValue]) {
            let key = pair.key.withUnsafeBytes { try? DecodedKey($0) }
            guard case .deadlist(let generation, let birth)? = key else { continue }
            if let record = history.record(generation) {
                if birth >= generation { try mendDeadlists(of: record, work) }
                continue
            }
            let record = try snapshots.decode(pair.value) { (raw) throws(RecordError) in
                try DeadlistRecord(decoding: raw)
            }
            snapshots.removePresent(Key.deadlist(generation, birth: birth))
            mended.discardedLists += 1
            discard(record, work)
        }
    }

    /// Takes off a record's deadlists what the record itself holds.
    ///
    /// Upstream puts the lists of a tip that it drops onto those of the tip's predecessor, which
    /// holds all that is on them (FORMAT 8.4). It leaves a list that was born with the record then,
    /// since the two differ at least in their roots; without one there is nothing to do.
    func mendDeadlists(of record: SnapshotRecord, _ work: CommitWork) throws(FileError) {
        let lists = try deadlists(of: record.generation)
        guard lists.contains(where: { $0.birth >= record.generation }),
            let first = lists.map(\.birth).min()
        else { return }
        let before =
            first == .zero ? Generation.none : Generation(rawValue: first.rawValue - 1)
        let held = Set(try ownBlocks(of: record, before, limit: .max).blocks)
        for list in lists {
            snapshots.removePresent(Key.deadlist(list.generation, birth: list.birth))
            var rest: [BlockAddress] = []
            passChain(list.record, work) { block, address in
                rest += block.deadAddresses.filter { !held.contains($0) && isAllocated($0) }
                retireChecked(address, work)
            }
            guard list.birth < record.generation else { continue }
            try extendDeadlist(list.generation, list.birth, by: rest, work)
        }
        mended.discardedLists += 1
    }

    /// Gives back blocks that a check found allocated and used by nothing.
    ///
    /// - Returns: how many there were.
    func freeLeaked(_ ranges: [Range<UInt64>]) -> Int {
        var count = 0
        for range in ranges {
            for offset in stride(
                from: range.lowerBound, to: range.upperBound, by: Geometry.blockBytes)
            {
                let address = BlockAddress(rawValue: offset)
                guard isAllocated(address), retired[address] == nil else { continue }
                cache.remove(address)
                free(address)
                count += 1
            }
        }
        return count
    }
}
