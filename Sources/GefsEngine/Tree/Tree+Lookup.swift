import GefsFormat

extension Tree {
    /// Messages for one key in one pivot on the way down, that need the value from below.
    private struct PendingMessages {
        let node: BlockBuffer
        let messages: Range<Int>
    }

    /// The value of a key, as a copy; nil when it is absent.
    ///
    /// Any thread may call this. The tree must stay allocated meanwhile.
    ///
    /// - Parameter mayBlock: when false, `.wouldBlock` is thrown if a node is not in memory.
    static func lookup<Source: NodeSource>(
        _ key: UnsafeRawBufferPointer, in root: TreeRoot, source: Source, mayBlock: Bool
    ) throws(ReadError) -> [UInt8]? {
        try lookup(key, in: root, source: source, mayBlock: mayBlock) { Array($0) }
    }

    /// Lends the value of a key to `body`; returns nil without calling it when the key is absent.
    ///
    /// Goes no deeper than to the first insert or removal that it meets. Nothing is allocated,
    /// unless messages that change a value (wstat and the like) are met.
    static func lookup<Source: NodeSource, Result>(
        _ key: UnsafeRawBufferPointer, in root: TreeRoot, source: Source, mayBlock: Bool,
        body: (UnsafeRawBufferPointer) -> Result
    ) throws(ReadError) -> Result? {
        try checkHeight(root)
        var pending: [PendingMessages] = []
        var pointer = root.pointer
        var height = root.height
        while height > 1 {
            let node = try readNode(pointer, height: height, from: source, mayBlock: mayBlock)
            let pivot = PivotView(unchecked: node.base)
            let (messages, decisive) = pivot.messages(for: key)
            if let decisive {
                return withExtendedLifetime(node) {
                    let message = pivot.message(decisive)
                    return finish(
                        message.kind == .insert ? message.payload : nil,
                        PendingMessages(
                            node: node, messages: (decisive + 1)..<messages.upperBound),
                        pending, body)
                }
            }
            if !messages.isEmpty {
                pending.append(PendingMessages(node: node, messages: messages))
            }
            pointer = pivot.pointer(pivot.childIndex(for: key))
            height -= 1
        }
        let node = try readNode(pointer, height: 1, from: source, mayBlock: mayBlock)
        return withExtendedLifetime(node) {
            let leaf = LeafView(unchecked: node.base)
            let place = leaf.search(key)
            return finish(
                place.found ? leaf.value(place.index) : nil,
                PendingMessages(node: node, messages: 0..<0), pending, body)
        }
    }

    /// A height that no tree has must not be believed: it comes from the disk.
    static func checkHeight(_ root: TreeRoot) throws(ReadError) {
        guard (1...Geometry.treeHeightMax).contains(root.height) else {
            throw .corrupt(
                CorruptBlock(
                    root.pointer.address, .node,
                    .treeHeight(UInt32(clamping: root.height))))
        }
    }

    /// Applies what was met above the value, deepest first.
    @inline(__always)
    private static func finish<Result>(
        _ value: UnsafeRawBufferPointer?, _ last: PendingMessages, _ pending: [PendingMessages],
        _ body: (UnsafeRawBufferPointer) -> Result
    ) -> Result? {
        if last.messages.isEmpty && pending.isEmpty { return value.map(body) }
        return fold(value, last, pending, body)
    }

    @inline(never)
    private static func fold<Result>(
        _ value: UnsafeRawBufferPointer?, _ last: PendingMessages, _ pending: [PendingMessages],
        _ body: (UnsafeRawBufferPointer) -> Result
    ) -> Result? {
        withUnsafeTemporaryAllocation(byteCount: Geometry.valueBytesMax, alignment: 8) { scratch in
            var current = value
            for part in [last] + pending.reversed() {
                let pivot = PivotView(unchecked: part.node.base)
                for index in part.messages {
                    current = ReaderFold.apply(
                        pivot.message(index), to: current, scratch: scratch)
                }
            }
            return current.map(body)
        }
    }
}

extension PivotView {
    /// The messages for a key, and the last one among them that decides the value.
    @inline(__always)
    func messages(for key: UnsafeRawBufferPointer) -> (range: Range<Int>, decisive: Int?) {
        let count = messageCount
        guard count > 0 else { return (0..<0, nil) }
        let first = firstMessage(notBelow: key)
        var end = first
        var decisive: Int?
        while end < count {
            let message = message(end)
            guard compareKeys(message.key, key) == 0 else { break }
            if message.isDecisive { decisive = end }
            end &+= 1
        }
        return (first..<end, decisive)
    }
}
