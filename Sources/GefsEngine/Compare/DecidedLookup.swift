import GefsFormat

/// A value, and since when it has been so.
struct DecidedValue {
    let value: [UInt8]?
    /// All states of the tree from this generation on have the value: the youngest node that the
    /// key occurs in was born then. Nil for an absent key without a message, of which no node tells.
    ///
    /// Why: the node is part of every state since, for a block that a tree has left never comes
    /// back. Messages only move down. So a message above it, in one of those states, would by now
    /// have reached it, which makes it another node, or would still be above it. The argument needs
    /// an occurrence: a message that removes an absent key leaves the leaf as it is.
    let since: Generation?
}

extension Tree {
    /// The value of a key, and which node's birth bounds its age.
    static func decidedValue<Source: NodeSource>(
        of key: UnsafeRawBufferPointer, in root: TreeRoot, source: Source
    ) throws(ReadError) -> DecidedValue {
        try checkHeight(root)
        var pointer = root.pointer
        var height = root.height
        var since: Generation?
        while height > 1, !pointer.isNone {
            let node = try readNode(pointer, height: height, from: source, mayBlock: true)
            let pivot = PivotView(unchecked: node.base)
            let messages = pivot.messages(for: key)
            if !messages.range.isEmpty { since = max(since ?? .zero, pointer.generation) }
            if messages.decisive != nil { break }
            pointer = pivot.pointer(pivot.childIndex(for: key))
            height -= 1
        }
        if height == 1 {
            let node = try readNode(pointer, height: 1, from: source, mayBlock: true)
            let isThere = LeafView(unchecked: node.base).search(key).found
            if isThere { since = max(since ?? .zero, pointer.generation) }
        }
        let value = try lookup(key, in: root, source: source, mayBlock: true)
        return DecidedValue(value: value, since: since)
    }
}
