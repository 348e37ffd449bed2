import GefsFormat

/// Messages of pivots that only one of two trees has, by key: a heap.
///
/// Messages are not copied; their nodes are held.
struct PassedMessages {
    private struct Entry {
        let node: BlockBuffer
        let key: UnsafeRawBufferPointer
        /// The message's place in the node.
        let index: Int
        let height: Int
        /// Which of the trees it is in.
        let side: Int

        var message: MessageView { PivotView(unchecked: node.base).message(index) }
    }

    private var heap: [Entry] = []

    /// Takes the messages of a pivot whose keys are not below `start` and below `end`.
    mutating func add(
        _ node: BlockBuffer, height: Int, side: Int, from start: [UInt8], before end: [UInt8]?
    ) {
        let pivot = PivotView(unchecked: node.base)
        let first = start.withUnsafeBytes { pivot.firstMessage(notBelow: $0) }
        let last =
            end.map { $0.withUnsafeBytes { pivot.firstMessage(notBelow: $0) } }
            ?? pivot.messageCount
        for index in first..<max(first, last) {
            push(
                Entry(
                    node: node, key: pivot.messageKey(index), index: index, height: height,
                    side: side))
        }
    }

    /// Forgets the messages for keys below `limit`; nil: all.
    mutating func drop(below limit: [UInt8]?) {
        while isFirst(below: limit) { _ = pop() }
    }

    /// Takes the messages of the lowest key, if that is below `limit` (nil: in any case).
    ///
    /// - Returns: the key, and whether the two trees have different messages for it; nil where
    ///   there is none.
    mutating func takeKey(below limit: [UInt8]?) -> (key: [UInt8], differs: Bool)? {
        guard isFirst(below: limit) else { return nil }
        let first = pop()
        var sides: [[Entry]] = [[], []]
        sides[first.side].append(first)
        while let next = heap.first, compareKeys(next.key, first.key) == 0 {
            sides[next.side].append(pop())
        }
        let isEqual = sides[0].elementsEqual(sides[1]) { left, right in
            let (a, b) = (left.message, right.message)
            return left.height == right.height && a.kind == b.kind
                && a.payload.elementsEqual(b.payload)
        }
        return (Array(first.key), !isEqual)
    }

    private func isFirst(below limit: [UInt8]?) -> Bool {
        guard let first = heap.first else { return false }
        return limit.map { $0.withUnsafeBytes { compareKeys(first.key, $0) < 0 } } ?? true
    }

    // MARK: Heap

    /// By key; within a tree and a key as they are applied.
    private func precedes(_ a: Entry, _ b: Entry) -> Bool {
        let order = compareKeys(a.key, b.key)
        if order != 0 { return order < 0 }
        return (a.side, a.height, a.index) < (b.side, b.height, b.index)
    }

    private mutating func push(_ entry: Entry) {
        var place = heap.count
        heap.append(entry)
        while place > 0, precedes(heap[place], heap[(place - 1) / 2]) {
            heap.swapAt(place, (place - 1) / 2)
            place = (place - 1) / 2
        }
    }

    /// The heap must not be empty.
    private mutating func pop() -> Entry {
        heap.swapAt(0, heap.count - 1)
        let first = heap.removeLast()
        var place = 0
        while true {
            var least = place
            for child in [2 * place + 1, 2 * place + 2]
            where child < heap.count && precedes(heap[child], heap[least]) {
                least = child
            }
            if least == place { return first }
            heap.swapAt(place, least)
            place = least
        }
    }
}
