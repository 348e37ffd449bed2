import GefsFormat

/// What holds the space of a volume as of the last commit, in bytes. All parts together are its
/// size.
public struct SpaceExplanation: Hashable, Sendable {
    /// A label and the part of the space that is put down to it.
    public struct Share: Hashable, Sendable {
        public var label: [UInt8]
        public var byteCount: UInt64
    }

    public var size: UInt64 = 0
    /// What branches hold now, each without what it has in common with what it was forked from.
    public var branches: [Share] = []
    /// What single labels hold that are no branches: deleting one frees as much.
    public var snapshots: [Share] = []
    /// What no branch holds, but several labels do, or what forks began with.
    public var sharedBySnapshots: UInt64 = 0
    /// Data of removed and truncated files that is still to be cleared from branches.
    public var awaitingClear: UInt64 = 0
    /// Deleted snapshots that are still to be taken apart.
    public var deletedSnapshots: UInt64 = 0
    /// What becomes free with the next commits, or when nobody reads it any more.
    public var pendingFrees: UInt64 = 0
    public var deadlists: UInt64 = 0
    public var snapshotTree: UInt64 = 0
    /// Allocation logs.
    public var logs: UInt64 = 0
    /// Blocks at the ends of arenas that are never handed out.
    public var unusable: UInt64 = 0
    /// What was written since the last commit.
    public var notCommitted: UInt64 = 0
    /// In use, but nothing refers to it: lost by a crash of the original, or damage.
    public var unaccounted: UInt64 = 0
    /// Less than nothing is unaccounted for: something is counted twice, on damaged disks only.
    public var overlap: UInt64 = 0
    /// Free, but kept back for deletions and commits.
    public var reserve: UInt64 = 0
    public var free: UInt64 = 0
}

extension FileSystem {
    /// What holds the space. Commits first, so that little is on its way.
    public func explainSpace() throws(FileError) -> SpaceExplanation {
        try volume.sync()
        let (history, blocks) = try volume.onFlushThread { volume in
            (CommittedHistory(volume), CommittedBlocks(volume))
        }
        defer { history.keepCounts() }
        var audit = SpaceAudit(history, blocks)
        return try audit.explain()
    }
}

/// How many blocks are in which state, between two commits. Flush thread only.
struct CommittedBlocks: Sendable {
    var size = 0
    var used = 0
    var reserve = 0
    var logs = 0
    var unusable = 0
    /// Taken since the last commit.
    var fresh = 0
    /// In the last commit, used by no tree and not free yet, without what is on `backlog`.
    var pending: Int
    let backlog: DeadlistRecord

    init(_ volume: Volume) {
        // A volume that is only read leaves the last commit's pending list as it is.
        backlog =
            volume.isReadOnly
            ? DeadlistRecord(
                head: volume.superblock.pendingHead, tail: volume.superblock.pendingTail)
            : volume.backlog.list
        pending = volume.pendingListBlocks.count
        for arena in volume.arenas.arenas {
            size += arena.blockCount
            used += arena.usedBlocks
            reserve += min(arena.freeBlocks, arena.reserveBlocks)
            logs += arena.log.chain.count
            unusable += Geometry.arenaSlopBlocks
            arena.map.forEachChange { range, isFree in
                if !isFree { fresh += range.count }
            }
        }
        for address in volume.retired.keys {
            guard let arena = volume.arenas.arena(of: address) else { continue }
            if !arena.map.wasFree(arena.blockIndex(address)) { pending += 1 }
        }
    }
}

/// Puts every block of the last commit down to what holds it.
struct SpaceAudit {
    private let history: CommittedHistory
    private let blocks: CommittedBlocks
    private var result = SpaceExplanation()
    private var accounted = 0

    init(_ history: CommittedHistory, _ blocks: CommittedBlocks) {
        self.history = history
        self.blocks = blocks
    }

    mutating func explain() throws(FileError) -> SpaceExplanation {
        let dead = try history.deadCounts()
        let books = try history.books()
        result.deletedSnapshots = note(books.deleted.blocks)
        try explainTrees(books.books)
        result.deadlists = note(dead.values.reduce(0) { $0 + $1.reduce(0) { $0 + $1.listBlocks } })
        do throws(ReadError) {
            result.snapshotTree = note(
                try Tree.nodeCount(history.root, source: history.volume.reader))
        } catch {
            throw FileError(error)
        }
        var backlog = 0
        try history.forEachBlock(of: blocks.backlog) { backlog += 1 + $0.addressCount }
        result.pendingFrees = note(blocks.pending + backlog)
        result.logs = note(blocks.logs)
        result.unusable = note(blocks.unusable)
        result.notCommitted = note(blocks.fresh)
        result.size = blocks.size.blockBytes
        result.reserve = blocks.reserve.blockBytes
        result.free = (blocks.size - blocks.used - blocks.reserve).blockBytes
        result.unaccounted = (blocks.used - accounted).blockBytes
        result.overlap = (accounted - blocks.used).blockBytes
        return result
    }

    private mutating func note(_ count: Int) -> UInt64 {
        accounted += count
        return count.blockBytes
    }

    private mutating func explainTrees(_ books: HistoryBooks) throws(FileError) {
        let graph = history.graph
        let own: OwnCount = { [history] (generation) throws(FileError) in
            try history.own(generation)
        }
        var byGeneration: [Generation: [[UInt8]]] = [:]
        for (name, label) in graph.labels {
            byGeneration[label.generation, default: []].append(name)
        }
        // What no branch holds: blocks on deadlists, and what lines that no branch follows end in.
        var elsewhere = 0
        for start in books.lineStarts {
            let line = books.line(from: start)
            for generation in line {
                elsewhere += books.entries[generation]?.dead.reduce(0) { $0 + $1.blocks } ?? 0
            }
            guard let tip = line.last else { continue }
            let branch = (byGeneration[tip] ?? []).sorted { $0.lexicographicallyPrecedes($1) }
                .first { graph.labels[$0]?.isMutable ?? false }
            guard let branch else {
                elsewhere += try own(tip)
                continue
            }
            let waiting = try history.awaitingClear(in: tip)
            result.awaitingClear += note(waiting)
            let held = note(max(0, try own(tip) - waiting))
            result.branches.append(.init(label: branch, byteCount: held))
        }
        result.branches.sort { $0.label.lexicographicallyPrecedes($1.label) }
        elsewhere += try own(.zero)
        let single = byGeneration.filter { generation, names in
            names.count == 1 && !(graph.labels[names[0]]?.isMutable ?? true)
        }
        let freed = try books.freedAlone(single.keys, own: own)
        for (generation, names) in single {
            var count = freed[generation]?.blocks ?? 0
            // Nobody can delete it, so all of it is its own.
            if generation == .zero { count = try own(.zero) }
            guard count > 0 else { continue }
            elsewhere -= count
            result.snapshots.append(.init(label: names[0], byteCount: note(count)))
        }
        result.snapshots.sort { $0.label.lexicographicallyPrecedes($1.label) }
        result.sharedBySnapshots = note(max(0, elsewhere))
    }
}

extension CommittedHistory {
    /// Blocks of a branch's tree that belong to files which were removed or truncated.
    func awaitingClear(in generation: Generation) throws(FileError) -> Int {
        guard let record = graph.records[generation] else { return 0 }
        let root = TreeRoot(pointer: record.root, height: Int(record.height))
        var count = 0
        for (name, value) in try volume.configEntries(ClearJob.keyPrefix, in: root) {
            guard let job = ClearJob(name: name, value: value) else { continue }
            try volume.scanData(job.qid, from: job.from, in: root, mayBlock: true) { _, value in
                if value.count >= BlockPointer.byteCount, let base = value.baseAddress,
                    BlockPointer(decoding: base).generation > record.base
                {
                    count += 1
                }
                return true
            }
        }
        return count
    }
}
