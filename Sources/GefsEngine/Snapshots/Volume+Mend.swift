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
            guard case .deadlist(let generation, let birth)? = key,
                birth >= generation || history.record(generation) == nil
            else { continue }
            let record = try snapshots.decode(pair.value) { (raw) throws(RecordError) in
                try DeadlistRecord(decoding: raw)
            }
            try snapshots.remove(Key.deadlist(generation, birth: birth))
            mended.discardedLists += 1
            do throws(FileError) {
                try discard(record, work)
            } catch {
                log("a deadlist of snapshot \(generation) is damaged: \(error)")
            }
        }
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
