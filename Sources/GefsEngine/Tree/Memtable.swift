import GefsFormat

/// An ordered buffer in memory above the root of a tree: the newest state of each changed key.
///
/// A B+tree of slab memory. Keys are only ever added; a removal is a state of a key, since what
/// lies below has to be hidden. A value that is not longer than its key's longest so far is
/// changed in place, so that repeated changes of one key cost no memory.
///
/// Invariants:
/// - Keys ascend strictly along the leaves.
/// - Records never move and are never freed before the memtable.
///
/// Threads: the owner serialises everything with a lock, and copies what `lookup` and `next` lend
/// before it lets go of that. After `freeze` nothing changes any more, and any thread may read
/// without a lock.
package final class Memtable: @unchecked Sendable {
    /// What a memtable knows of a key. The bytes are valid until the key is changed.
    package enum Found {
        /// Nothing: what lies below counts.
        case absent
        /// Its value.
        case value(UnsafeRawBufferPointer)
        /// It is removed, whatever lies below.
        case removed
    }

    private var slab = ByteSlab()
    private var root: MemtableNode
    /// Levels above the leaves.
    private var innerLevels = 0
    private var firstLeaf: MemtableNode
    /// Number of keys, removed ones included.
    package private(set) var count = 0
    /// Grows with every key, to tell cursors that positions have moved.
    private var structureVersion: Int { count }
    /// Whether changes are over.
    private(set) var isFrozen = false

    /// An empty memtable.
    package init() {
        root = MemtableNode(isLeaf: true, in: &slab)
        firstLeaf = root
    }

    /// Memory in use, in bytes.
    package var byteCount: Int { slab.byteCount }

    /// Ends the time of changes.
    func freeze() {
        isFrozen = true
    }

    /// What is known of `key`.
    package func lookup(_ key: UnsafeRawBufferPointer) -> Found {
        let head = KeyHead(key)
        let leaf = leaf(for: key, head)
        let place = leaf.search(key, head)
        return place.found ? leaf.record(place.index).state : .absent
    }

    /// Sets the value of a key.
    ///
    /// - Parameter presentBelow: whether the key has a value in what lies below this memtable. It
    ///   counts when the key is touched for the first time only.
    package func put(
        _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, presentBelow: Bool
    ) {
        precondition(value.count <= Geometry.valueBytesMax, "value is too long")
        touch(key, valueBytes: value.count, presentBelow).set(value, in: &slab)
    }

    /// Removes a key, also one that is not there.
    ///
    /// - Parameter presentBelow: as for `put`.
    func remove(_ key: UnsafeRawBufferPointer, presentBelow: Bool) {
        touch(key, valueBytes: 0, presentBelow).remove()
    }

    // MARK: Finding and adding

    private func leaf(for key: UnsafeRawBufferPointer, _ head: KeyHead) -> MemtableNode {
        var node = root
        for _ in 0..<innerLevels {
            node = node.child(node.childIndex(for: key, head))
        }
        return node
    }

    /// The record of a key, added if there is none. Full nodes on the way are split at once, so
    /// that there is always room in the parent.
    private func touch(
        _ key: UnsafeRawBufferPointer, valueBytes: Int, _ presentBelow: Bool
    ) -> MemtableRecord {
        assert(!isFrozen)
        precondition(key.count > 0 && key.count <= Geometry.posixKeyBytesMax, "impossible key")
        let head = KeyHead(key)
        if root.count == MemtableNode.capacity { growRoot() }
        var node = root
        var level = innerLevels
        while level > 0 {
            var index = node.childIndex(for: key, head)
            if node.child(index).count == MemtableNode.capacity {
                split(node, index, isLeaf: level == 1, for: key, head)
                if node.order(index + 1, key, head) <= 0 { index += 1 }
            }
            node = node.child(index)
            level -= 1
        }
        let place = node.search(key, head)
        if place.found { return node.record(place.index) }
        let record = MemtableRecord(
            key: key, valueBytes: valueBytes, isPresentBelow: presentBelow, in: &slab)
        node.insert(record, child: nil, at: place.index)
        count += 1
        return record
    }

    private func growRoot() {
        let old = root
        root = MemtableNode(isLeaf: false, in: &slab)
        root.insert(old.record(0), child: old, at: 0)
        innerLevels += 1
    }

    /// Splits the full child `index` of `parent`, which has room for the new entry.
    private func split(
        _ parent: MemtableNode, _ index: Int, isLeaf: Bool, for key: UnsafeRawBufferPointer,
        _ head: KeyHead
    ) {
        let left = parent.child(index)
        let right = MemtableNode(isLeaf: isLeaf, in: &slab)
        // Keys that arrive in ascending order leave full nodes behind.
        let isAppend = left.order(left.count - 1, key, head) < 0
        left.move(
            from: isAppend ? left.count - 1 : left.count / 2, to: right, isLeaf: isLeaf)
        if isLeaf {
            right.next = left.next
            left.next = right
        }
        parent.insert(right.record(0), child: right, at: index + 1)
    }
}

// MARK: Iterating

extension Memtable {
    /// A place between keys. It stays good when keys are added; those behind it are met.
    struct Cursor {
        fileprivate var leaf: MemtableNode
        fileprivate var index: Int
        fileprivate var version: Int
        fileprivate var last: MemtableRecord?
        fileprivate let start: [UInt8]
    }

    /// A key and what became of it. The bytes are valid until the key is changed.
    struct Item {
        /// The key.
        let key: UnsafeRawBufferPointer
        /// Its value, or `removed`; never `absent`.
        let state: Found
        /// Whether it has a value in what lies below.
        let isPresentBelow: Bool
    }

    /// A cursor in front of the first key that is not below `key`.
    func seek(_ key: UnsafeRawBufferPointer) -> Cursor {
        let place = lowerBound(key)
        return Cursor(
            leaf: place.leaf, index: place.index, version: structureVersion, last: nil,
            start: Array(key))
    }

    /// The key behind the cursor, which moves past it; nil at the end.
    func next(_ cursor: inout Cursor) -> Item? {
        if cursor.version != structureVersion { reposition(&cursor) }
        while cursor.index >= cursor.leaf.count {
            guard let next = cursor.leaf.next else { return nil }
            cursor.leaf = next
            cursor.index = 0
        }
        let record = cursor.leaf.record(cursor.index)
        cursor.index += 1
        cursor.last = record
        return Item(key: record.key, state: record.state, isPresentBelow: record.isPresentBelow)
    }

    private func reposition(_ cursor: inout Cursor) {
        if let last = cursor.last {
            let place = lowerBound(last.key)
            cursor.leaf = place.leaf
            cursor.index = place.index + 1
        } else {
            let place = cursor.start.withUnsafeBytes { lowerBound($0) }
            cursor.leaf = place.leaf
            cursor.index = place.index
        }
        cursor.version = structureVersion
    }

    private func lowerBound(
        _ key: UnsafeRawBufferPointer
    ) -> (leaf: MemtableNode, index: Int) {
        let head = KeyHead(key)
        let leaf = leaf(for: key, head)
        return (leaf, leaf.search(key, head).index)
    }

    /// Calls `body` for each record in key order.
    func forEachRecord(_ body: (MemtableRecord) -> Void) {
        var leaf: MemtableNode? = firstLeaf
        while let node = leaf {
            for index in 0..<node.count { body(node.record(index)) }
            leaf = node.next
        }
    }
}
