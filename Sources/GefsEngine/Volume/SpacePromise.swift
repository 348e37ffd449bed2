import GefsFormat
import Synchronization

/// Space that acknowledged changes will take when they are flushed.
struct SpacePromise: Sendable {
    /// Blocks of file data that became dirty.
    var dataBlocks = 0
    /// Keys in memtables, each a path of tree nodes at worst.
    var keys = 0
    /// Bytes of keys and values, which will fill new leaves.
    var bytes = 0

    static func += (left: inout SpacePromise, right: SpacePromise) {
        left.dataBlocks += right.dataBlocks
        left.keys += right.keys
        left.bytes += right.bytes
    }

    static func -= (left: inout SpacePromise, right: SpacePromise) {
        left.dataBlocks -= right.dataBlocks
        left.keys -= right.keys
        left.bytes -= right.bytes
    }

    /// Blocks that the changes take at worst in a tree of that height, of which no more than
    /// `nodesMax` nodes can be rewritten.
    func blocks(height: Int, nodesMax: Int) -> Int {
        let nodes = min(keys * (height + 1), nodesMax)
        return dataBlocks + nodes + 2 * bytes / Geometry.blockBytes
    }
}

/// Promises of all branches, and whether one more fits. Source: DESIGN, "Space promised".
///
/// Thread-safe; guarded by its own short lock, which is taken inside a branch's lock.
final class SpaceLedger: @unchecked Sendable {
    private let lock = Lock()
    private var outstanding = SpacePromise()
    private let arenas: ArenaSet
    /// Highest tree, in levels; only grows.
    private var height = 2
    /// Every change may use the reserve.
    private var opensReserve = false

    init(arenas: ArenaSet) {
        self.arenas = arenas
    }

    /// Blocks a commit takes whatever it contains: snapshot tree, lists, logs.
    private var commitBlocks: Int { 24 + 3 * arenas.arenas.count }

    /// Takes the promise if it fits above the reserve.
    func take(_ promise: SpacePromise, drawsOnReserve: Bool) -> Bool {
        lock.locked {
            var total = outstanding
            total += promise
            let need = total.blocks(height: height, nodesMax: arenas.usedBlocks) + commitBlocks
            if need > room(drawsOnReserve: drawsOnReserve) { return false }
            outstanding = total
            return true
        }
    }

    /// Blocks that can be promised in all. Lock held.
    private func room(drawsOnReserve: Bool) -> Int {
        let room = arenas.availableBlocks
        guard drawsOnReserve || opensReserve else { return room }
        // Half of the reserve at a time: the rest is for the commit that follows.
        return room + (arenas.availableBlocksWithReserve - room) / 2
    }

    /// Blocks of file data that a file can still get by writes one after the other.
    var availableBlocks: Int {
        lock.locked {
            var promised = outstanding
            promised += Self.write
            let need = promised.blocks(height: height, nodesMax: arenas.usedBlocks)
            let free = max(0, room(drawsOnReserve: false) - need - commitBlocks)
            return free - (free + Self.blocksPerLeaf - 1) / Self.blocksPerLeaf
        }
    }

    /// What a long write promises besides its data and their pointers: its file's entry, the first
    /// pointer, and the last block that was cut short before.
    private static let write = SpacePromise(dataBlocks: 1, keys: 4, bytes: 1024)

    /// Pointers to file data that a leaf holds: one in 256 blocks is for leaves, and those above.
    private static let blocksPerLeaf = 256

    /// Whether the promise would fit.
    func hasRoom(_ promise: SpacePromise) -> Bool {
        guard take(promise, drawsOnReserve: false) else { return false }
        release(promise)
        return true
    }

    /// Takes the promise whether or not it fits: for what must always work on a full disk, after a
    /// commit has emptied the ledger.
    func force(_ promise: SpacePromise) {
        lock.locked { outstanding += promise }
    }

    /// The changes have been flushed, or never were made.
    func release(_ promise: SpacePromise) {
        lock.locked { outstanding -= promise }
    }

    /// Whether every change may use the reserve, not only those that make room.
    var isReserveOpen: Bool {
        get { lock.locked { opensReserve } }
        set { lock.locked { opensReserve = newValue } }
    }

    func noteHeight(_ levels: Int) {
        lock.locked { height = max(height, levels) }
    }

    /// Blocks promised at present, at worst.
    var promisedBlocks: Int {
        lock.locked { outstanding.blocks(height: height, nodesMax: arenas.usedBlocks) }
    }
}
