import GefsFormat

/// Reads the pairs of a tree, messages applied, and notes messages that cannot be applied.
struct RepairScan {
    let target: RepairTarget

    typealias Pair = (key: Key, value: [UInt8])

    /// All pairs in order, and the keys with messages that do not fit what is below them.
    func pairs(_ root: TreeRoot) throws(RepairError) -> (pairs: [Pair], misfits: Set<Key>) {
        var result: [Pair] = []
        var misfits: Set<Key> = []
        try scan(root.pointer, root.height, [], &result, &misfits)
        return (result, misfits)
    }

    /// - Parameter messages: those from above that belong here; for one key oldest first.
    private func scan(
        _ pointer: BlockPointer, _ height: Int, _ messages: [MessageView],
        _ result: inout [Pair], _ misfits: inout Set<Key>
    ) throws(RepairError) {
        let buffer: BlockBuffer
        do throws(TreeError) {
            buffer = try target.readNode(pointer)
        } catch {
            throw target.failure ?? .unreadable("\(error)")
        }
        defer { withExtendedLifetime(buffer) {} }
        guard height > 1 else {
            return fold(LeafView(unchecked: buffer.base), messages, &result, &misfits)
        }
        let pivot = PivotView(unchecked: buffer.base)
        let all = merge(pivot, messages)
        var start = 0
        for child in 0..<pivot.childCount {
            var end = all.count
            if child + 1 < pivot.childCount {
                let limit = pivot.key(child + 1)
                end = start
                while end < all.count, compareKeys(all[end].key, limit) < 0 { end += 1 }
            }
            try scan(pivot.pointer(child), height - 1, Array(all[start..<end]), &result, &misfits)
            start = end
        }
    }

    /// A pivot's own messages are older than those from above.
    private func merge(_ pivot: PivotView, _ newer: [MessageView]) -> [MessageView] {
        var all: [MessageView] = []
        var next = 0
        for index in 0..<pivot.messageCount {
            let message = pivot.message(index)
            while next < newer.count, compareKeys(newer[next].key, message.key) < 0 {
                all.append(newer[next])
                next += 1
            }
            all.append(message)
        }
        return all + newer[next...]
    }

    private func fold(
        _ leaf: LeafView, _ messages: [MessageView], _ result: inout [Pair],
        _ misfits: inout Set<Key>
    ) {
        withUnsafeTemporaryAllocation(byteCount: Geometry.valueBytesMax, alignment: 8) { scratch in
            var index = 0
            var next = 0
            while index < leaf.count || next < messages.count {
                var key = next < messages.count ? messages[next].key : leaf.key(index)
                var value: UnsafeRawBufferPointer?
                if index < leaf.count, compareKeys(leaf.key(index), key) <= 0 {
                    key = leaf.key(index)
                    value = leaf.value(index)
                    index += 1
                }
                while next < messages.count, compareKeys(messages[next].key, key) == 0 {
                    do throws(FoldError) {
                        value = try MessageFold.apply(
                            messages[next].kind, payload: messages[next].payload, to: value,
                            scratch: scratch)
                    } catch {
                        misfits.insert(Key(key))
                    }
                    next += 1
                }
                if let value { result.append((Key(key), Array(value))) }
            }
        }
    }
}
