import GefsFormat

/// Reads a range of a tree of which parts may be missing.
///
/// Where a node is not there, what messages above it say for certain still holds; the rest of its
/// range is a gap. Source: FORMAT 6.3.
struct GapScan: ~Copyable {
    /// What a reader is called with: keys in order, and gaps between them.
    typealias RecordHandler = (
        UnsafeRawBufferPointer, UnsafeRawBufferPointer
    ) throws(RescueError) -> Void

    /// Messages of one pivot that concern the part being read.
    private struct Level {
        let page: BlockBuffer
        /// The next message, and the first that is not to be looked at.
        var next: Int
        let end: Int

        var pivot: PivotView { PivotView(unchecked: page.base) }

        var key: UnsafeRawBufferPointer? { next < end ? pivot.messageKey(next) : nil }
    }

    private let found: ScannedNodes
    /// From the root down.
    private var levels: [Level] = []
    private let scratch = UnsafeMutableRawBufferPointer.allocate(
        byteCount: Geometry.valueBytesMax, alignment: 8)
    /// What could not be read, lowest first.
    private(set) var gaps: [KeySpan] = []

    init(_ found: ScannedNodes) {
        self.found = found
    }

    deinit {
        scratch.deallocate()
    }

    /// Reads the part of a tree that lies in `range`, and notes its gaps.
    ///
    /// - Parameters:
    ///   - root: the tree's root, or any node of it.
    ///   - record: called with each key that is there, and its value.
    mutating func read(
        _ root: ScannedNumber, _ range: KeySpan, _ record: RecordHandler
    ) throws(RescueError) {
        guard !range.isEmpty else { return }
        try visit(root, range, depth: 0, record)
    }

    private mutating func visit(
        _ number: ScannedNumber?, _ range: KeySpan, depth: Int, _ record: RecordHandler
    ) throws(RescueError) {
        // A pivot that contains itself could be made on purpose.
        guard depth < Geometry.treeHeightMax, let number, let page = found.page(number) else {
            return try readGap(range, record)
        }
        if found[number].isLeaf {
            return try readLeaf(page, range, record)
        }
        let pivot = PivotView(unchecked: page.base)
        var index = range.low.withBytes { pivot.childIndex(for: $0) }
        var low = range.low
        while index < pivot.childCount {
            var part = KeySpan(low: low, high: range.high)
            let isLast: Bool
            if index + 1 < pivot.childCount {
                let next = Array(pivot.key(index + 1))
                isLast = range.high.map { !KeySpan.isBelow(next, $0) } ?? false
                if !isLast { part.high = next }
            } else {
                isLast = true
            }
            let first = part.low.withBytes { pivot.firstMessage(notBelow: $0) }
            let end = part.high?.withBytes { pivot.firstMessage(notBelow: $0) }
            levels.append(Level(page: page, next: first, end: end ?? pivot.messageCount))
            let child = found.find(pivot.pointer(index))
            defer { levels.removeLast() }
            try visit(child, part, depth: depth + 1, record)
            if isLast { return }
            low = part.high ?? low
            index += 1
        }
    }

    private mutating func readLeaf(
        _ page: BlockBuffer, _ range: KeySpan, _ record: RecordHandler
    ) throws(RescueError) {
        let leaf = LeafView(unchecked: page.base)
        var index = range.low.withBytes { leaf.search($0).index }
        let end = range.high?.withBytes { leaf.search($0).index } ?? leaf.count
        while true {
            let message = lowestMessageKey(below: range.high)
            guard index < end else {
                guard let message else { return }
                try fold(message, nil, record)
                continue
            }
            let key = leaf.key(index)
            let order = message.map { compareKeys($0, key) } ?? 1
            if order < 0, let message {
                try fold(message, nil, record)
                continue
            }
            let value = leaf.value(index)
            index += 1
            if order > 0 {
                try record(key, value)
            } else {
                try fold(key, value, record)
            }
        }
    }

    /// The lowest key that a message is for. What is not below `high` is for the nodes behind this
    /// one: a pivot's messages are cut to the part of its child, not of what is below that.
    private func lowestMessageKey(below high: [UInt8]?) -> UnsafeRawBufferPointer? {
        var lowest: UnsafeRawBufferPointer?
        for level in levels {
            guard let key = level.key else { continue }
            if let best = lowest, compareKeys(best, key) <= 0 { continue }
            lowest = key
        }
        guard let lowest, let high else { return lowest }
        return high.withBytes { compareKeys(lowest, $0) < 0 } ? lowest : nil
    }

    /// Applies all messages for a key, those of the deepest pivot first.
    private mutating func fold(
        _ key: UnsafeRawBufferPointer, _ below: UnsafeRawBufferPointer?, _ record: RecordHandler
    ) throws(RescueError) {
        var value = below
        let scratch = scratch
        forEachMessage(for: key) { message in
            value = ReaderFold.apply(message, to: value, scratch: scratch)
        }
        if let value { try record(key, value) }
    }

    private mutating func forEachMessage(
        for key: UnsafeRawBufferPointer, _ body: (MessageView) -> Void
    ) {
        for index in levels.indices.reversed() {
            while let next = levels[index].key, compareKeys(next, key) == 0 {
                body(levels[index].pivot.message(levels[index].next))
                levels[index].next += 1
            }
        }
    }

    /// A part whose node is missing: what is inserted above it is there, what is removed is not.
    private mutating func readGap(_ range: KeySpan, _ record: RecordHandler) throws(RescueError) {
        var low = range.low
        let scratch = scratch
        while let key = lowestMessageKey(below: range.high) {
            var value: UnsafeRawBufferPointer?
            var isKnown = false
            forEachMessage(for: key) { message in
                isKnown = isKnown || message.isDecisive
                if isKnown { value = ReaderFold.apply(message, to: value, scratch: scratch) }
            }
            guard isKnown else { continue }
            let known = Array(key)
            noteGap(KeySpan(low: low, high: known))
            low = KeySpan.successor(of: known)
            if let value { try record(key, value) }
        }
        noteGap(KeySpan(low: low, high: range.high))
    }

    private mutating func noteGap(_ range: KeySpan) {
        if !range.isEmpty { gaps.append(range) }
    }
}
