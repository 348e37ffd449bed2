import GefsFormat

extension TreeWriter {
    /// A pivot with the same children and other messages, which fit.
    func copyPivot(_ pivot: PivotView, _ messages: Range<Int>, height: Int) -> ChildEntry {
        let buffer = target.newBuffer()
        var builder = PivotBuilder(block: buffer.base)
        for index in 0..<pivot.childCount {
            builder.appendChild(
                key: pivot.key(index), pointer: pivot.pointer(index),
                fill: pivot.childFill(index))
        }
        for index in messages { builder.appendMessage(stack[index]) }
        return ChildEntry(newPivot: buffer, fill: builder.finish(), height: height)
    }

    /// Puts children into as many pivots as it takes, in order, writing those that are new.
    ///
    /// - Parameters:
    ///   - messages: a run on the stack for the keys of all the children; at most one buffer full.
    ///   - isPacked: fill pivot after pivot instead of making them equal.
    func buildPivots(
        _ children: ContiguousArray<ChildEntry>, messages: Range<Int>, height: Int,
        isPacked: Bool
    ) throws(TreeError) -> ContiguousArray<ChildEntry> {
        var pivots: ContiguousArray<ChildEntry> = []
        var nextMessage = messages.lowerBound
        var start = 0
        for end in Self.divide(children, isPacked: isPacked) {
            let buffer = target.newBuffer()
            var builder = PivotBuilder(block: buffer.base)
            for child in children[start..<end] {
                builder.appendChild(
                    key: child.key, pointer: try place(child), fill: child.fill)
            }
            while nextMessage < messages.upperBound {
                let message = stack[nextMessage]
                if end < children.count, compareKeys(message.key, children[end].key) >= 0 {
                    break
                }
                builder.appendMessage(message)
                nextMessage += 1
            }
            pivots.append(
                ChildEntry(newPivot: buffer, fill: builder.finish(), height: height))
            start = end
        }
        return pivots
    }

    /// Where each of the pivots ends that children are divided among. Each gets two at least.
    private static func divide(
        _ children: ContiguousArray<ChildEntry>, isPacked: Bool
    ) -> ContiguousArray<Int> {
        let count = children.count
        var byteCount = 0
        var largest = 0
        for child in children {
            byteCount += child.entryBytes
            largest = max(largest, child.entryBytes)
        }
        guard byteCount > NodeLimits.pivotEntryBytes else { return [count] }
        let pivotCount = dividedUp(byteCount, by: NodeLimits.pivotEntryBytes - largest)
        var ends: ContiguousArray<Int> = []
        var start = 0
        var passed = 0
        var filled = 0
        for index in 0..<count {
            let size = children[index].entryBytes
            let target = byteCount * (ends.count + 1) / pivotCount
            let isFull =
                isPacked ? filled + size > NodeLimits.pivotEntryBytes : passed >= target
            if isFull && index - start >= 2 {
                ends.append(index)
                start = index
                filled = 0
            }
            passed += size
            filled += size
        }
        // A child alone cannot stay: the pivot before gives it one of its many.
        if count - start == 1, let last = ends.popLast() { ends.append(last - 1) }
        ends.append(count)
        return ends
    }
}
