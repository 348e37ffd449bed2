import GefsFormat

/// A place in a tree, in front of a subtree, for walking it in key order without entering all of
/// it.
///
/// Bounds are keys in the memory of nodes that the cursor holds: valid until it moves.
struct SubtreeCursor<Source: NodeSource> {
    private struct Level {
        let node: BlockBuffer
        let pivot: PivotView
        /// The child on the path.
        var child: Int
    }

    private let source: Source
    private var path: [Level] = []
    /// Root of the subtree that comes next; nil at the tree's end.
    private(set) var pointer: BlockPointer?
    /// Its levels, 1 for a leaf.
    private(set) var height: Int

    init(_ root: TreeRoot, source: Source) {
        self.source = source
        pointer = root.pointer
        height = root.height
    }

    var isAtEnd: Bool { pointer == nil }

    /// No key in the subtree is below this one, messages included; nil for the whole tree.
    var lower: UnsafeRawBufferPointer? {
        path.last.map { $0.pivot.key($0.child) }
    }

    /// All keys in the subtree are below this one; nil where nothing comes behind it.
    var upper: UnsafeRawBufferPointer? {
        for level in path.reversed() where level.child + 1 < level.pivot.childCount {
            return level.pivot.key(level.child + 1)
        }
        return nil
    }

    /// Whether both are in front of the very same nodes.
    func isSame(as other: SubtreeCursor) -> Bool {
        guard let pointer, let theirs = other.pointer else { return false }
        return height == other.height && pointer.address == theirs.address
            && pointer.hash == theirs.hash
    }

    /// Moves in front of that child of the subtree's root which `position` belongs to. Not for
    /// leaves, and not at the end.
    ///
    /// - Returns: the root, whose messages are now above the cursor.
    mutating func enter(at position: [UInt8]) throws(ReadError) -> BlockBuffer? {
        guard let pointer, height > 1 else { return nil }
        let node = try Tree.readNode(pointer, height: height, from: source, mayBlock: true)
        let pivot = PivotView(unchecked: node.base)
        let child = position.withUnsafeBytes { pivot.childIndex(for: $0) }
        path.append(Level(node: node, pivot: pivot, child: child))
        height -= 1
        self.pointer = pivot.pointer(child)
        return node
    }

    /// Moves behind the subtree.
    mutating func skip() {
        while let last = path.last, last.child + 1 >= last.pivot.childCount {
            path.removeLast()
            height += 1
        }
        guard var last = path.popLast() else {
            pointer = nil
            return
        }
        last.child += 1
        pointer = last.pivot.pointer(last.child)
        path.append(last)
    }
}
