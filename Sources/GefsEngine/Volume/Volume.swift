import GefsFormat
import Synchronization

/// How a volume is opened.
public struct VolumeOptions: Sendable {
    /// Not a byte is written.
    public var isReadOnly = false
    /// Limit of the block cache, in bytes.
    public var cacheBytes: UInt64 = 256 << 20
    /// Nanoseconds between commits while there are changes; nil: only on demand.
    public var commitIntervalNanoseconds: Int64? = 5_000_000_000
    /// Automatic snapshots are made and deleted, by the schedules of the branches.
    public var takesSnapshots = false
    /// Anyone may use `%` attaches; a broken users file is replaced by a default.
    public var isPermissive = false
    /// Bytes of changes in memory at which a flush starts, so that the device has work early.
    public var flushBytes = 16 << 20
    /// Bytes of file data that undoing and merging hold in memory; more is written beforehand.
    public var transplantBytesMax = 64 << 20
    /// Bytes of changes in memory at which writers wait: half of the cache's, within bounds.
    public var unflushedBytesMax: Int {
        Int(min(max(cacheBytes / 2, 64 << 20), 512 << 20))
    }
    /// Own blocks of a deleted tip that one commit frees; a larger tree shrinks bit by bit.
    package var pruneBlocksMax = 10_000
    /// Blocks of deadlists that one commit takes from the backlog: 2042 addresses each.
    package var backlogBlocksMax = 48
    /// Blocks that a small commit takes from one arena before the next one gets its turn.
    package var arenaStretchBlocks = 2048
    /// Blocks of an arena's log that are left alone; a longer one may be compressed.
    package var logBlocksMin = 16
    /// A longer one is compressed when it is more than so many times as long as it could be.
    package var logGrowthMax = 4
    /// Where the memory of blocks comes from; nil: a pool of the volume's own, which goes with it.
    package var pool: BlockBufferPool?
    /// A defect that is put in on purpose, so that the crash explorer can be seen to find it.
    package var defect: EngineDefect?
    /// Receives what an operator should know.
    public var log: @Sendable (String) -> Void = { _ in }
    /// The time of day, in nanoseconds since 1970.
    public var clock: @Sendable () -> Int64 = { WallClock.now() }

    public init() {}
}

/// What can be made wrong on purpose; nothing outside of this package can ask for it.
package enum EngineDefect: Hashable, Sendable {
    /// Blocks become free before the commit that stops using them is durable.
    case freesBeforeCommit
}

/// An open disk: store, trees and the threads that write them.
///
/// Locking order: a branch's lock, then the volume's, the ledger's, the queue's; the volume's lock
/// is never held while a branch's is taken.
final class Volume: @unchecked Sendable {
    let device: any BlockDevice
    let options: VolumeOptions
    let arenas: ArenaSet
    let cache: BlockCache
    let pool: BlockBufferPool
    let reader: BlockReader
    let ledger: SpaceLedger
    let reclaimQueue: ReclaimQueue
    let reclaimer = Reclaimer()
    let scheduler = RetentionScheduler()
    let scrubber = Scrubber()
    let snapshots: SnapshotTree
    let history = History()
    let changed = ChangedBranches()
    let unused = UnusedBranches()
    /// What the disk looked like when it was opened, and what was repaired.
    private(set) var openNotes: [String]

    /// Next number for a file. Packed into the superblock of each commit.
    let qidCounter: Atomic<UInt64>
    /// Bytes of changes in memory that are not flushed.
    let unflushedBytes = Atomic<Int>(0)

    /// Guards what follows, and wakes the flush thread and those who wait for it.
    let lock = Lock()
    /// lock.
    var branches: [[UInt8]: Branch] = [:]
    /// lock. Labels that are being deleted: nobody opens them.
    var leaving: Set<[UInt8]> = []
    /// lock. Branches that somebody has attached to since the volume was opened.
    var usedLabels: Set<[UInt8]> = []
    /// lock. Why changes are refused; set once.
    var failure: FileError?
    /// lock.
    var requests = FlushRequests()

    /// Whether the disk has the feature `posix`. Source: Docs/FORMAT.md 12.
    let isPosix: Bool

    /// flush. The superblock of the last durable commit.
    var superblock: Superblock
    /// flush. Blocks that are allocated but unreachable, with the commit they wait for.
    var retired: [BlockAddress: UInt64] = [:]
    /// flush. Blocks of the pending list that the last superblock names.
    var pendingListBlocks: [BlockAddress] = []
    /// flush.
    var nextGeneration: Generation
    /// Blocks born earlier were on the disk when it was opened.
    let firstGeneration: Generation
    /// flush. Retired blocks whose bag is empty, but whose commit is not durable yet.
    var waiting: [RetiredBlock] = []
    /// flush. Set while a commit writes down which blocks are to be freed.
    var isReclaimPaused = false
    /// flush. The last commit that is durable.
    var durableCommit: UInt64 = 0
    /// While above 0 no block becomes free: somebody looks at the last commit as a whole. lock.
    var pins = 0
    /// flush. Records whose counts on disk are not those of their labels and forks; the next
    /// commit puts them right.
    var miscounted: [Generation] = []
    /// flush. The next commit is to look for deadlists that make no sense.
    var mendsDeadlists = false
    /// flush. What has been mended since the volume was opened.
    var mended = MendedHistory()
    /// flush. Records that may have nothing left that needs them.
    var dropQueue: [Generation] = []
    /// flush. The last commit could take nothing apart for want of space.
    var isDropStalled = false
    /// flush. Will receive what the next dropped snapshots held alone. Each version of a tree holds
    /// it from the moment when a later one takes its place.
    var droppedBag: RetiredBag
    /// flush. Dead blocks that belong on deadlists, but for which there was no room.
    var unlisted = UnlistedBlocks()
    /// flush. What dropped snapshots held, as far as it is not free yet: the part of the pending
    /// list that stays on the disk from commit to commit.
    var backlog = Backlog()
    /// flush. The blocks that the first record of all holds; nil where they are not known.
    var firstBlocks: Set<BlockAddress>?
    /// flush. Snapshots whose trees somebody has counted since the last commit.
    var countedSizes: Set<Generation> = []
    /// flush. Which of the two dialects the disk is kept in.
    var dialect: Dialect
    var flushThread: WorkerThread?
    /// flush.
    var idleMemory = IdleMemory()

    init(
        device: any BlockDevice, options: VolumeOptions, loaded: LoadedVolume
    ) {
        self.device = device
        self.options = options
        arenas = loaded.arenas
        arenas.tune(options)
        pool = loaded.pool
        superblock = loaded.superblock
        isPosix = loaded.superblock.features.contains(.posix)
        openNotes = loaded.notes
        dialect = .r
        cache = BlockCache(byteLimit: options.cacheBytes)
        reader = BlockReader(device: device, cache: cache, pool: pool)
        ledger = SpaceLedger(arenas: loaded.arenas)
        reclaimQueue = ReclaimQueue()
        droppedBag = RetiredBag(queue: reclaimQueue)
        qidCounter = Atomic(loaded.superblock.nextQid)
        nextGeneration = loaded.superblock.nextGeneration
        firstGeneration = loaded.superblock.nextGeneration
        snapshots = SnapshotTree(
            root: TreeRoot(
                pointer: loaded.superblock.snapshotTreeRoot,
                height: Int(loaded.superblock.snapshotTreeHeight)),
            reader: reader, queue: reclaimQueue)
    }

    var isReadOnly: Bool { options.isReadOnly || device.isReadOnly }

    /// Bytes of the longest name that a file may have.
    var nameBytesMax: Int { FileName.bytesMax(isPosix: isPosix) }

    func log(_ text: String) {
        options.log(text)
    }

    /// Notes what was found while the volume is being opened.
    func noteAtOpen(_ text: String) {
        openNotes.append(text)
    }

    /// Nanoseconds since 1970.
    func now() -> Int64 {
        options.clock()
    }

    func newBuffer() -> BlockBuffer {
        pool.make()
    }

    /// Refuses changes on a read-only or failed volume.
    func checkWritable() throws(FileError) {
        if isReadOnly { throw .readOnly }
        if lock.locked({ failure != nil }) { throw .readOnly }
    }

    /// A number that no file ever had.
    func nextQid() throws(FileError) -> UInt64 {
        let qid = qidCounter.wrappingAdd(1, ordering: .relaxed).oldValue
        // Values with bit 63 set are reserved: FORMAT 7.2.
        guard qid < 1 << 63 else {
            qidCounter.wrappingSubtract(1, ordering: .relaxed)
            throw .qidsExhausted
        }
        return qid
    }

    /// Blocks of a snapshot's tree, where somebody has counted them or that is quickly done.
    func treeSize(_ record: SnapshotRecord) -> TreeSize? {
        if let known = history.read({ $0.sizes[record.generation] }) { return known }
        // What ream makes is so small; counted here, it is known for all that follows.
        return record.height == 1 ? try? TreeCounter(reader).size(of: record) : nil
    }

    // MARK: Memory

    func noteUnflushed(_ change: SpacePromise) {
        let bytes = Self.memoryBytes(change)
        guard bytes != 0 else { return }
        let total = unflushedBytes.wrappingAdd(bytes, ordering: .relaxed).newValue
        if total > options.flushBytes, total - bytes <= options.flushBytes {
            requestFlush()
        }
    }

    func noteFlushed(_ change: SpacePromise) {
        unflushedBytes.wrappingSubtract(Self.memoryBytes(change), ordering: .relaxed)
    }

    private static func memoryBytes(_ change: SpacePromise) -> Int {
        change.dataBlocks * Geometry.blockBytes + change.bytes
    }

    /// Holds a writer back while too much of what was written waits for the device.
    func admit(_ caller: Caller) throws(FileError) {
        guard unflushedBytes.load(ordering: .relaxed) > options.unflushedBytesMax else {
            return
        }
        guard caller.mayBlock else { throw .wouldBlock }
        requestFlush()
        lock.locked {
            while unflushedBytes.load(ordering: .relaxed) > options.unflushedBytesMax,
                failure == nil, !requests.isStopped
            {
                lock.wait()
            }
        }
    }

    /// Runs a change; where there is no room for it, commits, which frees what is pending, and
    /// tries once more.
    func withRoom<Result>(
        _ caller: Caller, _ body: () throws(FileError) -> Result
    ) throws(FileError) -> Result {
        do throws(FileError) {
            return try body()
        } catch .volumeFull {
            guard caller.mayBlock else { throw .wouldBlock }
        }
        // Twice: the first commit frees what was dropped before it, the second what it replaced.
        try syncAndReclaim()
        do throws(FileError) {
            return try body()
        } catch .volumeFull {
            try syncAndReclaim(evenIfClean: true)
        }
        return try body()
    }

    // MARK: Reading trees

    func lookup(
        _ key: Key, in root: TreeRoot, mayBlock: Bool
    ) throws(FileError) -> [UInt8]? {
        do throws(ReadError) {
            return try key.withBytes { (bytes) throws(ReadError) -> [UInt8]? in
                try Tree.lookup(bytes, in: root, source: reader, mayBlock: mayBlock)
            }
        } catch {
            throw FileError(error)
        }
    }

    /// Pointers of a run of a file's blocks; `BlockPointer.none` for holes.
    func dataPointers(
        _ qid: UInt64, _ run: Range<UInt64>, in root: TreeRoot, mayBlock: Bool
    ) throws(FileError) -> [BlockPointer] {
        if run.count == 1 {
            let key = Key.data(qid, block: run.lowerBound)
            guard let value = try lookup(key, in: root, mayBlock: mayBlock) else { return [.none] }
            return [decodePointer(value)]
        }
        var pointers = [BlockPointer](repeating: .none, count: run.count)
        try scanData(
            qid, from: run.lowerBound, before: run.upperBound, in: root, mayBlock: mayBlock
        ) { index, value in
            guard index < run.upperBound else { return false }
            if value.count >= BlockPointer.byteCount, let base = value.baseAddress {
                pointers[Int(index - run.lowerBound)] = BlockPointer(decoding: base)
            }
            return index + 1 < run.upperBound
        }
        return pointers
    }

    /// Indices of a file's blocks from `from` on, at most `limit`.
    func dataKeys(
        _ qid: UInt64, from: UInt64, limit: Int, in root: TreeRoot, mayBlock: Bool
    ) throws(FileError) -> DataKeys {
        var keys = DataKeys()
        try scanData(qid, from: from, in: root, mayBlock: mayBlock) { index, _ in
            guard keys.indices.count < limit else {
                keys.hasMore = true
                return false
            }
            keys.indices.append(index)
            return true
        }
        return keys
    }

    /// Passes the blocks of a file, in order, until `body` has had enough.
    ///
    /// - Parameter end: no node is read that has only blocks from here on.
    func scanData(
        _ qid: UInt64, from: UInt64, before end: UInt64 = .max, in root: TreeRoot, mayBlock: Bool,
        _ body: (UInt64, UnsafeRawBufferPointer) -> Bool
    ) throws(FileError) {
        // A block index past the largest offset names nothing.
        guard from <= UInt64.max / UInt64(Geometry.blockBytes) else { return }
        let start = Key.data(qid, block: from)
        do throws(ReadError) {
            var scan = start.withBytes { start in
                dataEnd(qid, end).withBytes {
                    Tree.Scan(
                        root: root, source: reader, from: start, before: $0, mayBlock: mayBlock)
                }
            }
            while let item = try scan.next() {
                guard item.key.count == start.bytes.count, let base = item.key.baseAddress,
                    item.key[0] == KeyKind.data.rawValue,
                    base.loadBigEndian(at: 1, as: UInt64.self) == qid
                else { return }
                let offset = base.loadBigEndian(at: 9, as: UInt64.self)
                if !body(offset / UInt64(Geometry.blockBytes), item.value) { return }
            }
        } catch {
            throw FileError(error)
        }
    }

    /// The first key behind the blocks of a file in front of block `end`.
    private func dataEnd(_ qid: UInt64, _ end: UInt64) -> Key {
        if end <= UInt64.max / UInt64(Geometry.blockBytes) { return .data(qid, block: end) }
        return qid == .max ? .prefix(.entry) : .dataPrefix(qid + 1)
    }

    private func decodePointer(_ value: [UInt8]) -> BlockPointer {
        guard value.count >= BlockPointer.byteCount else { return .none }
        return value.withUnsafeBytes { bytes in
            bytes.baseAddress.map { BlockPointer(decoding: $0) } ?? .none
        }
    }

    func readData(
        _ pointers: [BlockPointer], mayBlock: Bool, caches: Bool = true
    ) throws(FileError) -> [BlockBuffer] {
        do throws(ReadError) {
            return try reader.data(run: pointers, mayBlock: mayBlock, caches: caches)
        } catch {
            throw FileError(error)
        }
    }

    /// Configuration entries of a tree whose names begin with `prefix`.
    func configEntries(
        _ prefix: [UInt8], in root: TreeRoot
    ) throws(FileError) -> [(name: [UInt8], value: [UInt8])] {
        var found: [(name: [UInt8], value: [UInt8])] = []
        let start = Key.config(prefix)
        do throws(ReadError) {
            var scan = start.bytes.withUnsafeBytes {
                Tree.Scan(root: root, source: reader, prefix: $0, mayBlock: true)
            }
            while let item = try scan.next() {
                guard item.key.starts(with: start.bytes) else { break }
                found.append((Array(item.key.dropFirst()), Array(item.value)))
            }
        } catch {
            throw FileError(error)
        }
        return found
    }
}

extension FileError {
    init(_ error: ReadError) {
        switch error {
        case .wouldBlock: self = .wouldBlock
        case .corrupt(let block): self = .corrupt(block)
        case .device(let fault): self = .device(fault)
        }
    }
}
