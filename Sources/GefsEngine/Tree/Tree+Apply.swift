import GefsFormat

extension Tree {
    /// Brings a batch of messages into a tree by copying what changes, and returns the new root.
    ///
    /// The batch goes down as a whole and each node on its way is written once, in depth-first
    /// order. Messages that fit the buffers stay there. The old tree stays valid; `target` learns
    /// which of its blocks the new one no longer refers to.
    ///
    /// The caller inserts no pointer to file data that the tree holds already, except in the place
    /// of itself.
    ///
    /// - Parameter reachesLeaves: no message stays in a buffer on its way, so that what the batch
    ///   removes is out of the tree at once.
    /// - Throws: `TreeError`. All that `target` has been told is void then: its new nodes are part
    ///   of no tree, and nothing has died.
    static func apply<Target: FlushTarget>(
        _ batch: MessageBatch, to root: TreeRoot, target: Target, reachesLeaves: Bool = false
    ) throws(TreeError) -> TreeRoot {
        guard batch.count > 0 else { return root }
        do throws(ReadError) {
            try checkHeight(root)
        } catch {
            throw .read(error)
        }
        var writer = TreeWriter(
            target: target, messageCount: batch.count,
            keptBytes: reachesLeaves ? 0 : NodeLimits.keptMessageBytes)
        return try withExtendedLifetime(batch) { () throws(TreeError) -> TreeRoot in
            try writer.apply(batch, to: root)
        }
    }
}

/// One update of a tree.
struct TreeWriter<Target: FlushTarget>: ~Copyable {
    /// A value that goes into a new leaf; the bytes lie in the old leaf or in a message.
    struct LeafRecord {
        let key: UnsafeRawBufferPointer
        let value: UnsafeRawBufferPointer
    }

    let target: Target
    var stack: MessageStack
    /// The records of the leaf that is being rewritten. Kept for its memory.
    var records: ContiguousArray<LeafRecord> = []
    /// Values that were made by folding.
    var folded = ByteSlab()

    /// Bytes of messages that a pivot keeps when its buffer overflows; 0: it never keeps any.
    let keptBytes: Int

    init(target: Target, messageCount: Int, keptBytes: Int) {
        self.target = target
        self.keptBytes = keptBytes
        stack = MessageStack(capacity: messageCount * 2)
    }

    mutating func apply(_ batch: MessageBatch, to root: TreeRoot) throws(TreeError) -> TreeRoot {
        for index in 0..<batch.count { stack.push(batch.message(index)) }
        var list = try rewrite(ChildEntry(root: root), before: nil, 0..<batch.count)
        try joinSmallNodes(&list)
        guard let first = list.entries.first else { throw .emptyTree }
        var height = first.height
        while list.entries.count > 1 {
            height += 1
            list.entries = try buildPivots(
                list.entries, messages: 0..<0, height: height, isPacked: list.isAppended)
        }
        let top = list.entries[0]
        return TreeRoot(pointer: try place(top), height: height)
    }

    /// Brings messages into a node: what takes its place, which may be nothing, the node itself, or
    /// a list of nodes. A pivot that is left with one child is replaced by that child, a node of
    /// less height with no messages above it.
    ///
    /// - Parameters:
    ///   - end: where the node's key range ends, exclusive; nil at the right edge.
    ///   - messages: a run on the stack, with keys in the node's range.
    mutating func rewrite(
        _ node: ChildEntry, before end: UnsafeRawBufferPointer?, _ messages: Range<Int>
    ) throws(TreeError) -> NodeList {
        let block = try load(node, before: end)
        return node.height == 1
            ? try rewriteLeaf(node, block, messages)
            : try rewritePivot(node, block, before: end, messages)
    }

    // MARK: Nodes

    /// The block of a node. One of the tree is checked against its parent.
    func load(
        _ node: ChildEntry, before end: UnsafeRawBufferPointer?
    ) throws(TreeError) -> BlockBuffer {
        if let buffer = node.buffer { return buffer }
        let block = try target.readNode(node.pointer)
        do throws(CorruptBlock) {
            try Tree.checkKind(block, height: node.height, at: node.pointer)
            if node.height == 1 {
                try checkLeaf(node, LeafView(unchecked: block.base), end)
            } else {
                try checkPivot(node, PivotView(unchecked: block.base), end)
            }
        } catch {
            throw .corrupt(error)
        }
        return block
    }

    /// Where a node lies, which a new one learns now.
    func place(_ node: ChildEntry) throws(TreeError) -> BlockPointer {
        guard node.isNew, let buffer = node.buffer else { return node.pointer }
        return try target.writeNode(buffer)
    }

    /// A node has been replaced.
    func retire(_ node: ChildEntry) {
        if !node.isNew { target.killNode(node.pointer) }
    }

    private func checkLeaf(
        _ node: ChildEntry, _ leaf: LeafView, _ end: UnsafeRawBufferPointer?
    ) throws(CorruptBlock) {
        try checkFill(node, leaf.fill, .leaf)
        try checkOrder(node, leaf.key(0), leaf.key(leaf.count - 1), end, .leaf)
    }

    private func checkPivot(
        _ node: ChildEntry, _ pivot: PivotView, _ end: UnsafeRawBufferPointer?
    ) throws(CorruptBlock) {
        try checkFill(node, pivot.fill, .pivot)
        try checkOrder(node, pivot.key(0), pivot.key(pivot.childCount - 1), end, .pivot)
        let messageCount = pivot.messageCount
        guard messageCount > 0 else { return }
        try checkOrder(
            node, pivot.messageKey(0), pivot.messageKey(messageCount - 1), end, .pivot)
    }

    private func checkFill(
        _ node: ChildEntry, _ found: Int, _ kind: BlockKind
    ) throws(CorruptBlock) {
        guard node.fill != found, node.fill != 0 else { return }
        throw CorruptBlock(node.pointer.address, kind, .childFill(index: 0, fill: node.fill))
    }

    /// A node checks its own order; what it is to its neighbours only the parent knows.
    private func checkOrder(
        _ node: ChildEntry, _ first: UnsafeRawBufferPointer, _ last: UnsafeRawBufferPointer,
        _ end: UnsafeRawBufferPointer?, _ kind: BlockKind
    ) throws(CorruptBlock) {
        let isBehindEnd = end.map { compareKeys(last, $0) >= 0 } ?? false
        if isBehindEnd || compareKeys(first, node.key) < 0 {
            throw CorruptBlock(node.pointer.address, kind, .keyRange(index: 0))
        }
    }
}
