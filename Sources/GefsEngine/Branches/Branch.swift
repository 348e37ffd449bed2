import GefsFormat

/// The tree of one label, as it is served: layers in memory above a version on disk.
///
/// A reader sees, newest first: the active memtable and dirty data, the frozen layers, the tree.
/// A change is memory work on the active layer; it never waits for the device.
///
/// Invariants:
/// - Fields marked `lock` are read and written with `lock` held; nothing does I/O inside.
/// - Frozen layers, versions and their blocks never change, so what was found in them stays true
///   until the next freeze: `freezeCount` tells whether one came between.
/// - Fields marked `flush` belong to the flush thread.
final class Branch: @unchecked Sendable {
    unowned let volume: Volume
    private let unused: UnusedBranches
    let isMutable: Bool

    let lock = Lock()
    /// lock.
    var active = Memtable()
    /// lock.
    var dirty = DirtyData()
    /// lock. Keys of data that the active memtable holds as removed.
    var dataRemovals = 0
    /// lock. What the active layer has promised.
    var promise = SpacePromise()
    /// lock. Oldest first.
    var frozen: [FrozenLayer] = []
    /// lock.
    var version: TreeVersion
    /// lock. Counts freezes.
    var freezeCount: UInt64 = 0
    /// lock. Files somebody refers to, by qid path.
    var nodes: [UInt64: FileNode] = [:]
    /// lock. Data that is still to be cleared, by qid path.
    var clears: [UInt64: ClearJob] = [:]
    /// lock. Files whose data is being brought in before they are made: their clears wait.
    var staged: Set<UInt64> = []
    /// lock. Counts how often the branch went to another tree.
    var switchCount: UInt64 = 0

    /// lock. What is flushed goes down to the leaves, with all that waits in buffers on its way.
    var flattens = false

    /// lock. Who keeps copies of files, and is told of changes.
    var observers: [WeakObserver] = []

    /// Held while files are brought in from another tree, by one at a time. Before `lock`; there is
    /// I/O inside.
    let transplants = Lock()

    /// lock. Handles on files of the branch, and whoever else looks at its tree: while there are
    /// any, the label cannot be deleted.
    private(set) var userCount = 0
    /// lock. The branch is no longer its label's: whoever wants that asks the volume again.
    private(set) var isRetired = false

    /// lock. The branch is among those that the next commit freezes.
    var isListed = false

    /// flush. The label that Advance lets name the branch's state; nil: none.
    var label: [UInt8]?
    /// flush. Flags of that label.
    var labelFlags: UInt32
    /// flush. Blocks of the tree, where they are known.
    var size: BranchSize
    /// flush. The snapshot that the label names.
    var record: SnapshotRecord
    /// flush. Generation that new blocks are born in; nil until the first flush after a commit.
    var working: Generation?
    /// flush. Blocks killed since the last Advance, by the generation they were born in.
    var kills: [Generation: [BlockAddress]] = [:]

    init(
        volume: Volume, label: [UInt8]?, isMutable: Bool, record: SnapshotRecord
    ) {
        self.volume = volume
        unused = volume.unused
        self.label = label
        self.isMutable = isMutable
        labelFlags = isMutable ? LabelRecord.flagMutable : 0
        size = BranchSize(volume.treeSize(record))
        if size.now == nil { size.mark(record.generation) }
        self.record = record
        version = TreeVersion(
            root: TreeRoot(pointer: record.root, height: Int(record.height)),
            queue: volume.reclaimQueue)
    }

    // MARK: Use

    /// Counts one more user; false where the branch is retired. To be called with the lock held.
    func addUser() -> Bool {
        guard !isRetired else { return false }
        userCount += 1
        return true
    }

    /// One more for somebody who has the branch already. To be called with the lock held.
    func addUserAgain() {
        assert(userCount > 0)
        userCount += 1
    }

    /// To be called with the lock held.
    func removeUser() {
        assert(userCount > 0)
        userCount -= 1
        if userCount == 0, !isRetired { unused.add(self) }
    }

    /// Takes the branch away from its label, which is to be deleted. To be called with the lock
    /// held, while it has no user.
    func retire() {
        assert(userCount == 0)
        isRetired = true
    }

    /// Takes the branch away from its label where it is of no use: nobody is attached or reads a
    /// version of its tree, and nothing is in memory that the disk does not have. Takes the lock;
    /// flush thread only.
    func retireIfIdle() -> Bool {
        lock.locked {
            guard userCount == 0, !isRetired, !hasChanges, frozen.isEmpty, clears.isEmpty,
                working == nil,
                isKnownUniquelyReferenced(&version)
            else { return false }
            isRetired = true
            return true
        }
    }

    /// What lies below the active layer, pinned. To be called with the lock held.
    var below: BelowView {
        BelowView(frozen: frozen, version: version, freezeCount: freezeCount)
    }

    func pinBelow() -> BelowView {
        lock.locked { below }
    }

    /// Whether something is not in a commit yet. Takes the lock.
    var isDirty: Bool {
        lock.locked { hasChanges || !frozen.isEmpty }
    }

    /// Whether the active layer holds anything. To be called with the lock held.
    private var hasChanges: Bool { active.count > 0 || !dirty.isEmpty }

    /// Bytes of memory that the active layer holds. To be called with the lock held.
    var activeBytes: Int {
        hasChanges ? active.byteCount + dirty.blockCount * Geometry.blockBytes : 0
    }

    /// Finds something out below the active layer, then changes the active layer by it.
    ///
    /// `probe` may read the device; `body` runs under the lock with what `probe` found, which is
    /// still true then: where a freeze came between, both run again.
    func update<Found, Result>(
        _ probe: (BelowView) throws(FileError) -> Found,
        _ body: (Found) throws(FileError) -> Result
    ) throws(FileError) -> Result {
        while true {
            let view = pinBelow()
            let found = try probe(view)
            lock.lock()
            if freezeCount == view.freezeCount {
                defer { lock.unlock() }
                return try body(found)
            }
            lock.unlock()
        }
    }

    /// Closes the active layer if it holds anything. To be called with the lock held, by the
    /// flush thread.
    func freeze() {
        guard hasChanges else { return }
        frozen.append(
            FrozenLayer(
                memtable: active, dirty: dirty, dataRemovals: dataRemovals, promise: promise))
        active = Memtable()
        dirty = DirtyData()
        dataRemovals = 0
        promise = SpacePromise()
        freezeCount += 1
    }
}

/// The layers below the active one, as of one instant.
struct BelowView {
    let frozen: [FrozenLayer]
    let version: TreeVersion
    let freezeCount: UInt64
}
