import GefsFormat

extension Tree {
    /// Value of a key, nil where it is absent.
    ///
    /// Goes down only as far as it must: an insert or a removal in a buffer decides. A message
    /// that changes a missing value counts as absent here; the checker is strict about it.
    static func lookup<Source: NodeSource>(
        _ key: UnsafeRawBufferPointer, in root: TreeRoot, source: Source, mayBlock: Bool
    ) throws(ReadError) -> [UInt8]? {
        var pointer = root.pointer
        var height = root.height
        // Messages that change what lies below, with the nodes that hold them: newest last level.
        var changes: [(node: BlockBuffer, range: Range<Int>)] = []
        while true {
            let node = try source.node(pointer, mayBlock: mayBlock)
            try checkKind(node, pointer, height: height)
            if height == 1 {
                let leaf = LeafView(unchecked: node.base)
                let (index, found) = leaf.search(key)
                return withExtendedLifetime(node) {
                    fold(found ? leaf.value(index) : nil, changes)
                }
            }
            let pivot = PivotView(unchecked: node.base)
            var index = pivot.firstMessage(notBelow: key)
            let first = index
            var decided: Int?
            while index < pivot.messageCount, compareKeys(pivot.messageKey(index), key) == 0 {
                let kind = pivot.message(index).kind
                if kind == .insert || kind.isRemoval { decided = index }
                index += 1
            }
            if let decided {
                let message = pivot.message(decided)
                if decided + 1 < index { changes.append((node, (decided + 1)..<index)) }
                return withExtendedLifetime(node) {
                    fold(message.kind == .insert ? message.payload : nil, changes)
                }
            }
            if first < index { changes.append((node, first..<index)) }
            pointer = pivot.pointer(max(0, pivot.childIndex(for: key)))
            height -= 1
        }
    }

    /// Applies changes to a value, from the deepest node upward.
    private static func fold(
        _ value: UnsafeRawBufferPointer?, _ changes: [(node: BlockBuffer, range: Range<Int>)]
    ) -> [UInt8]? {
        guard !changes.isEmpty else { return value.map { Array($0) } }
        return withUnsafeTemporaryAllocation(
            byteCount: Geometry.valueBytesMax, alignment: 8
        ) { scratch in
            var current = value
            for change in changes.reversed() {
                let pivot = PivotView(unchecked: change.node.base)
                for index in change.range {
                    let message = pivot.message(index)
                    current = foldLeniently(message, current, scratch)
                }
            }
            return current.map { Array($0) }
        }
    }

    static func foldLeniently(
        _ message: MessageView, _ current: UnsafeRawBufferPointer?,
        _ scratch: UnsafeMutableRawBufferPointer
    ) -> UnsafeRawBufferPointer? {
        do throws(FoldError) {
            return try MessageFold.apply(
                message.kind, payload: message.payload, to: current, scratch: scratch)
        } catch {
            return nil
        }
    }
}
