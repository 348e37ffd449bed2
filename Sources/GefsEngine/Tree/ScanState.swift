import GefsFormat

/// A pivot on the path from the root to the leaf that a scan is in.
struct ScanLevel {
    let node: BlockBuffer
    let pivot: PivotView
    let childCount: Int
    let messageCount: Int
    /// The child on the path.
    var child: Int
    /// The first message not yet applied.
    var message: Int
    /// The end of the messages that belong to the leaf.
    var messageEnd: Int

    var hasMessage: Bool { message < messageEnd }
}

/// The work of a scan: a path of pivots, a leaf, and a place in each.
///
/// Invariants while in a leaf:
/// - The messages between `message` and `messageEnd` of all levels are those for keys of the leaf's
///   range that the scan has not passed.
/// - `pendingLevel` is the level with the smallest key among those, the deepest on a tie.
struct ScanState<Source: NodeSource> {
    private let source: Source
    private let root: TreeRoot
    var mayBlock: Bool
    /// Start key, end key and space for folding, `Geometry.valueBytesMax` bytes each.
    private let space: UnsafeMutableRawPointer
    private let levels: UnsafeMutablePointer<ScanLevel>
    /// Levels of the path that are loaded.
    private var depth = 0
    private var startBytes: Int
    /// Size of the end key; nil for no end.
    private var endBytes: Int?
    private var isSeeking = true
    private var isFinished = false
    private var leafNode: BlockBuffer?
    private var leaf: LeafView
    private var index = 0
    private var leafEnd = 0
    private var pendingLevel = -1

    init(
        root: TreeRoot, source: Source, start: UnsafeRawBufferPointer,
        end: UnsafeRawBufferPointer?, mayBlock: Bool
    ) {
        self.root = root
        self.source = source
        self.mayBlock = mayBlock
        space = .allocate(byteCount: 3 * Geometry.valueBytesMax, alignment: 8)
        levels = .allocate(capacity: min(max(root.height, 1), Geometry.treeHeightMax))
        leaf = LeafView(unchecked: space)
        startBytes = start.count
        precondition(start.count <= Geometry.valueBytesMax, "impossible start of a scan")
        space.storeBytes(of: start, at: 0)
        if let end { setEnd(end) }
    }

    /// Ends the scan behind the keys that begin with `prefix`.
    mutating func endBehind(prefix: UnsafeRawBufferPointer) {
        // The smallest key above all of them: the prefix with its last byte that can grow grown.
        var count = prefix.count
        while count > 0, prefix[count - 1] == .max { count -= 1 }
        guard count > 0 else { return }
        setEnd(UnsafeRawBufferPointer(rebasing: prefix[..<count]))
        let last = Geometry.valueBytesMax + count - 1
        space.storeBytes(of: prefix[count - 1] + 1, toByteOffset: last, as: UInt8.self)
    }

    private mutating func setEnd(_ end: UnsafeRawBufferPointer) {
        precondition(end.count <= Geometry.valueBytesMax, "impossible end of a scan")
        space.storeBytes(of: end, at: Geometry.valueBytesMax)
        endBytes = end.count
    }

    /// Gives the memory back. Nothing may be called afterwards.
    mutating func release() {
        levels.deinitialize(count: depth)
        levels.deallocate()
        space.deallocate()
    }

    private var start: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: space, count: startBytes)
    }

    private var end: UnsafeRawBufferPointer? {
        endBytes.map {
            UnsafeRawBufferPointer(start: space + Geometry.valueBytesMax, count: $0)
        }
    }

    private var scratch: UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(
            start: space + 2 * Geometry.valueBytesMax, count: Geometry.valueBytesMax)
    }

    // MARK: Pairs

    @inline(__always)
    mutating func next() throws(ReadError) -> Tree.Scan<Source>.Item? {
        if pendingLevel < 0 && index < leafEnd {
            let key = leaf.key(index)
            index &+= 1
            // The value lies right behind the key; the view finds it from the record again.
            return (key, leaf.value(index &- 1))
        }
        return try nextMerged()
    }

    @inline(never)
    private mutating func nextMerged() throws(ReadError) -> Tree.Scan<Source>.Item? {
        while true {
            if leafNode == nil {
                guard try enterLeaf() else { return nil }
            }
            if pendingLevel < 0 {
                if index < leafEnd {
                    index += 1
                    return (leaf.key(index - 1), leaf.value(index - 1))
                }
                leaveLeaf()
                continue
            }
            let level = levels[pendingLevel]
            let key = level.pivot.messageKey(level.message)
            var value: UnsafeRawBufferPointer?
            if index < leafEnd {
                let order = compareKeys(leaf.key(index), key)
                if order <= 0 {
                    value = leaf.value(index)
                    index += 1
                    if order < 0 { return (leaf.key(index - 1), leaf.value(index - 1)) }
                }
            }
            if let value = fold(key, value) { return (key, value) }
        }
    }

    /// Applies all messages for `key`, deepest level first, and moves past them.
    private mutating func fold(
        _ key: UnsafeRawBufferPointer, _ below: UnsafeRawBufferPointer?
    ) -> UnsafeRawBufferPointer? {
        var value = below
        for level in (0..<depth).reversed() {
            while levels[level].hasMessage {
                let message = levels[level].pivot.message(levels[level].message)
                guard compareKeys(message.key, key) == 0 else { break }
                value = ReaderFold.apply(message, to: value, scratch: scratch)
                levels[level].message += 1
            }
        }
        findPendingLevel()
        return value
    }

    private mutating func findPendingLevel() {
        pendingLevel = -1
        var smallest: UnsafeRawBufferPointer?
        for level in (0..<depth).reversed() where levels[level].hasMessage {
            let key = levels[level].pivot.messageKey(levels[level].message)
            if let smallest, compareKeys(smallest, key) <= 0 { continue }
            smallest = key
            pendingLevel = level
        }
    }

    // MARK: Nodes

    /// Loads the path to the next leaf; false at the end. When a node cannot be read, what is
    /// loaded stays, and the next call goes on from there.
    private mutating func enterLeaf() throws(ReadError) -> Bool {
        if isFinished { return false }
        try Tree.checkHeight(root)
        while depth < root.height - 1 {
            let node = try readChild()
            let pivot = PivotView(unchecked: node.base)
            let message = isSeeking ? pivot.firstMessage(notBelow: start) : 0
            (levels + depth).initialize(
                to: ScanLevel(
                    node: node, pivot: pivot, childCount: pivot.childCount,
                    messageCount: pivot.messageCount,
                    child: isSeeking ? pivot.childIndex(for: start) : 0,
                    message: message, messageEnd: message))
            depth += 1
        }
        let node = try readChild()
        let leaf = LeafView(unchecked: node.base)
        try checkRange(of: leaf)
        leafNode = node
        self.leaf = leaf
        index = isSeeking ? leaf.search(start).index : 0
        leafEnd = end.map { leaf.search($0).index } ?? leaf.count
        isSeeking = false
        takeMessages()
        return true
    }

    private var childPointer: BlockPointer {
        guard depth > 0 else { return root.pointer }
        let parent = levels[depth - 1]
        return parent.pivot.pointer(parent.child)
    }

    private func readChild() throws(ReadError) -> BlockBuffer {
        try Tree.readNode(
            childPointer, height: root.height - depth, from: source, mayBlock: mayBlock)
    }

    /// Where the next leaf begins; nil for the last one.
    private var upperBound: UnsafeRawBufferPointer? {
        for level in (0..<depth).reversed() where levels[level].child + 1 < levels[level].childCount
        {
            return levels[level].pivot.key(levels[level].child + 1)
        }
        return nil
    }

    private var lowerBound: UnsafeRawBufferPointer? {
        for level in (0..<depth).reversed() where levels[level].child > 0 {
            return levels[level].pivot.key(levels[level].child)
        }
        return nil
    }

    /// Refuses a leaf with keys that are none of its range: pivots made on purpose may lead to the same
    /// leaf on more ways than anybody can go.
    private func checkRange(of leaf: LeafView) throws(ReadError) {
        guard leaf.count > 0 else { return }
        let last = leaf.count - 1
        if let low = lowerBound, compareKeys(leaf.key(0), low) < 0 { throw outside(0) }
        if let high = upperBound, compareKeys(leaf.key(last), high) >= 0 { throw outside(last) }
    }

    private func outside(_ index: Int) -> ReadError {
        .corrupt(CorruptBlock(childPointer.address, .block(.leaf), .keyRange(index: index)))
    }

    /// Finds which messages of the path belong to the leaf.
    private mutating func takeMessages() {
        var limit = end
        if let next = upperBound, limit.map({ compareKeys(next, $0) < 0 }) ?? true { limit = next }
        for level in 0..<depth {
            let count = levels[level].messageCount
            guard levels[level].message < count else { continue }
            let end = limit.map { levels[level].pivot.firstMessage(notBelow: $0) } ?? count
            // In a damaged tree the limit may lie before what has been passed.
            levels[level].messageEnd = max(end, levels[level].message)
        }
        findPendingLevel()
    }

    /// Moves the path to the next leaf without loading anything.
    private mutating func leaveLeaf() {
        leafNode = nil
        index = 0
        leafEnd = 0
        while depth > 0, levels[depth - 1].child + 1 >= levels[depth - 1].childCount {
            depth -= 1
            (levels + depth).deinitialize(count: 1)
        }
        guard depth > 0 else {
            isFinished = true
            return
        }
        levels[depth - 1].child += 1
        if let end {
            let next = levels[depth - 1].pivot.key(levels[depth - 1].child)
            if compareKeys(next, end) >= 0 { isFinished = true }
        }
    }
}
