import GefsFormat

/// One state of a tree on disk that readers may hold.
///
/// A reader keeps the version it started from alive for as long as it looks at its blocks. Blocks
/// that a later version no longer uses lie in this version's bag and are handed to the reclaim
/// queue when this and all earlier versions are gone: reference counting is the epoch.
final class TreeVersion: Sendable {
    let root: TreeRoot
    let bag: RetiredBag

    init(root: TreeRoot, queue: ReclaimQueue) {
        self.root = root
        bag = RetiredBag(queue: queue)
    }
}

/// A block that no tree uses any more.
struct RetiredBlock: Sendable {
    var address: BlockAddress
    /// The commit that must be durable before the block may be used again; 0: none.
    var afterCommit: UInt64
}

/// Blocks that become free once nobody reads the version that holds the bag, or an earlier one.
///
/// Invariants:
/// - A bag keeps the next version's bag alive, so bags empty themselves in order of their age.
/// - Only the flush thread adds to a bag, and only before a later version is published.
final class RetiredBag: @unchecked Sendable {
    private var blocks: [RetiredBlock] = []
    private var next: RetiredBag?
    private var shared: RetiredBag?
    private let queue: ReclaimQueue

    init(queue: ReclaimQueue) {
        self.queue = queue
    }

    /// Puts the blocks into the bag and chains the bag of the version that follows.
    ///
    /// - Parameter shared: a bag that versions of several trees hold: it empties itself when all
    ///   of them are gone.
    func close(_ blocks: [RetiredBlock], next: RetiredBag, holding shared: RetiredBag? = nil) {
        self.blocks = blocks
        self.next = next
        self.shared = shared
    }

    deinit {
        queue.add(blocks)
        // Unlinked in a loop: a long chain must not be released recursively.
        var rest = next
        next = nil
        while isKnownUniquelyReferenced(&rest), let bag = rest {
            rest = bag.next
            bag.next = nil
        }
    }
}

/// Where emptied bags leave their blocks for the flush thread.
final class ReclaimQueue: @unchecked Sendable {
    private let lock = Lock()
    private var blocks: [RetiredBlock] = []

    func add(_ more: [RetiredBlock]) {
        guard !more.isEmpty else { return }
        lock.locked { blocks.append(contentsOf: more) }
    }

    /// Everything that has come since the last call.
    func drain() -> [RetiredBlock] {
        lock.locked {
            let all = blocks
            blocks = []
            return all
        }
    }
}
