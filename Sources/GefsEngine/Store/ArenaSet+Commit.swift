import GefsFormat

extension ArenaSet {
    /// The highest barrier met in any log. The next commit's number must be above it and above the
    /// superblock's.
    var highestBarrier: UInt64 {
        arenas.reduce(0) { max($0, $1.log.lastBarrier ?? 0) }
    }

    /// Decides which logs the coming commit compresses (DESIGN "Commit", step 5).
    ///
    /// - Returns: the blocks of the replaced logs. They go on the pending list of this very commit
    ///   and are freed by the caller after it is durable.
    func planCompression() -> [BlockAddress] {
        arenas.flatMap { $0.planCompression() }
    }

    /// What the arenas have to write for a commit. To be called once everything else of the commit
    /// is allocated; what is taken or freed from now on belongs to the next one.
    ///
    /// - Parameters:
    ///   - barrier: the number of the commit, above `highestBarrier` and `lastDurable`.
    ///   - lastDurable: that of the last durable superblock.
    /// - Throws: `.logFull` or `.barrierNotNewer`; the commit is then to be given up.
    func prepareCommit(
        barrier: UInt64, lastDurable: UInt64
    ) throws(StoreError) -> ArenaCommit {
        for arena in arenas {
            let last = max(arena.log.lastBarrier ?? 0, lastDurable)
            guard barrier > last else {
                throw .barrierNotNewer(arena: arena.index, barrier: barrier, last: last)
            }
        }
        var commit = ArenaCommit()
        for arena in arenas {
            try arena.prepareCommit(
                barrier: barrier, lastDurable: lastDurable, pool: pool, into: &commit)
        }
        commit.references = references
        return commit
    }

    /// To be called when the superblock of the commit is durable, before `planCompression()` of the
    /// next one. Replaced log blocks may be freed from then on.
    func didCommit() {
        for arena in arenas { arena.didCommit() }
    }

    /// The arena table of the superblock.
    var references: [Superblock.ArenaReference] {
        arenas.map { Superblock.ArenaReference(address: $0.address, hash: $0.headerHash) }
    }
}
