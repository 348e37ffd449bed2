import GefsFormat

extension Tree {
    /// Applies a sorted batch of replacing messages (insert, delete, clearb, clobber) to a tree.
    ///
    /// Copy on write: the old tree stays whole. Kills of nodes and data are told to the target.
    /// - Throws: `TreeError`; what the target was told until then is void.
    static func apply<Target: FlushTarget>(
        _ batch: MessageBatch, to root: TreeRoot, target: Target
    ) throws(TreeError) -> TreeRoot {
        guard batch.count > 0 else { return root }
        let update = TreeUpdate(target: target)
        var height = root.height
        var children = try withExtendedLifetime(batch) {
            () throws(TreeError) -> [TreeUpdate<Target>.Child] in
            try update.rewrite(root.pointer, height: height, batch.messages[...])
        }
        guard !children.isEmpty else { throw .emptyTree }
        while children.count > 1 {
            children = try update.writePivots(children, [])
            height += 1
        }
        var pointer = children[0].pointer
        // A root with one child and nothing in its buffer is a level too many.
        while height > 1 {
            let node = try target.readNode(pointer)
            let pivot = PivotView(unchecked: node.base)
            guard pivot.childCount == 1, pivot.messageCount == 0 else { break }
            let child = pivot.pointer(0)
            target.killNode(pointer)
            pointer = child
            height -= 1
        }
        return TreeRoot(pointer: pointer, height: height)
    }
}
