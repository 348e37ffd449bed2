import GefsFormat

/// Where the walk through a tree stands.
struct TreeWalk {
    /// The tree, for messages.
    var tree = TreeName.snapshots {
        didSet { isSnapshotTree = tree == .snapshots }
    }
    /// Whether it is the snapshot tree.
    private(set) var isSnapshotTree = true
    /// The snapshot's place in history; nil in the snapshot tree.
    var line: WalkedLine?
    /// Where a tree has what the one before does not have.
    var gaps: [LineGap] = []
    /// The nodes of the snapshot before.
    var inherited = HeldNodes()
    /// What was found in the part walked since this was last emptied.
    var flags: NodeGraph.Flags = []
    /// Nodes in blocks that are first of all something else.
    var strays: [BlockPointer: NodeNumber] = [:]
    /// A page for each level: the keys in it bound those of the levels below.
    private var pages: [UnsafeMutableRawPointer] = []

    /// Memory for the node at a depth; the root has 0.
    mutating func page(depth: Int) -> UnsafeMutableRawPointer {
        while pages.count <= depth {
            pages.append(
                .allocate(
                    byteCount: Geometry.blockBytes, alignment: MemoryLayout<UInt64>.alignment))
        }
        return pages[depth]
    }

    /// Gives the memory back.
    mutating func finish() {
        for page in pages { page.deallocate() }
        pages = []
    }
}

/// What a parent says about a child.
struct NodeBounds {
    /// The lowest key that may occur.
    var low: UnsafeRawBufferPointer?
    /// The first key that may not.
    var high: UnsafeRawBufferPointer?
    /// The stated fill; a tree's root has none.
    var fill: Int?

    /// Whether a key may occur.
    func contains(_ key: UnsafeRawBufferPointer) -> Bool {
        if let low, compareKeys(key, low) < 0 { return false }
        if let high, compareKeys(key, high) >= 0 { return false }
        return true
    }
}
