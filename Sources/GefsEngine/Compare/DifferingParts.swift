import GefsFormat

/// The parts of the key space in which two trees may differ, in key order.
///
/// Both trees are walked side by side. Where both are in front of the same node it is skipped with
/// all that lies below it; else the higher one of the two, or both, are entered. A leaf that only
/// one of them has makes a range. What is read is the pivots that are not shared; what is held is
/// one path in each tree, and the messages of its pivots.
///
/// No key outside of these parts differs: the value of a key is what its occurrences give, applied
/// from the leaf up (FORMAT 6.3), and all of them lie on its path (FORMAT 6.2, rule 3). Those in
/// shared nodes are the same in both trees, and at the same heights, since all leaves are equally
/// deep. So two values can differ only where the key occurs in a node that one of the trees has
/// alone. Such a node is a leaf, whose range is reported, or a pivot. The messages of a pivot are
/// reported one by one, unless a range covers them, or the other tree has exactly the same ones for
/// that key at the same heights.
struct DifferingParts<Source: NodeSource> {
    enum Part {
        case key([UInt8])
        /// Keys from `lower` on and below `upper`; nil: to the tree's end.
        case range(lower: [UInt8], upper: [UInt8]?)
    }

    /// Leaves in a row that become one range: enough to make up for the descent that reading it
    /// takes, and few enough to stay in the cache meanwhile.
    private static var rangeLeavesMax: Int { 64 }

    private var sides: [SubtreeCursor<Source>]
    private let end: [UInt8]?
    /// Keys below are done with; nil when all are.
    private var position: [UInt8]?
    private var messages = PassedMessages()
    /// Where the range begins that ends at `position`, if one does, and its leaves.
    private var open: (lower: [UInt8], leaves: Int)?
    private var ready: [Part] = []
    private var readyIndex = 0

    /// - Parameters:
    ///   - start: where to begin.
    ///   - end: where to end; nil: at the end of the trees.
    init(
        _ old: TreeRoot, _ new: TreeRoot, source: Source, from start: [UInt8] = [],
        before end: [UInt8]? = nil
    ) throws(ReadError) {
        try Tree.checkHeight(old)
        try Tree.checkHeight(new)
        sides = [
            SubtreeCursor(old, source: source), SubtreeCursor(new, source: source),
        ]
        position = start
        self.end = end
    }

    /// The next part; nil at the end.
    mutating func next() throws(ReadError) -> Part? {
        while readyIndex == ready.count {
            ready.removeAll(keepingCapacity: true)
            readyIndex = 0
            guard let position, isBeforeEnd(position) else {
                closeRange()
                if ready.isEmpty { return nil }
                break
            }
            try step(from: position)
        }
        readyIndex += 1
        return ready[readyIndex - 1]
    }

    private func isBeforeEnd(_ key: [UInt8]) -> Bool {
        end.map { Self.isBelow(key, $0) } ?? true
    }

    // MARK: Walking

    /// Enters or passes at least one subtree.
    private mutating func step(from position: [UInt8]) throws(ReadError) {
        if sides[0].isSame(as: sides[1]) {
            // The bounds may differ. What lies between them belongs to the nodes above, whose
            // messages are known, and to what comes next in the tree with the lower bound.
            passShared(to: Self.lowest(sides[0].upper, sides[1].upper))
            sides[0].skip()
            sides[1].skip()
        } else if sides[0].isAtEnd || isBehind(0, 1) {
            try take(1, from: position)
        } else if sides[1].isAtEnd || isBehind(1, 0) {
            try take(0, from: position)
        } else if sides[0].height > 1 || sides[1].height > 1 {
            let height = max(sides[0].height, sides[1].height)
            for side in 0...1 where sides[side].height == height {
                try enter(side, from: position)
            }
        } else {
            let limit = Self.lowest(sides[0].upper, sides[1].upper)
            let ended = (0...1).filter { Self.isEqual(sides[$0].upper, limit) }
            passDiffering(to: limit)
            for side in ended { sides[side].skip() }
        }
    }

    /// Whether what one tree has next begins behind all of what the other one has next. It stays
    /// until the other one has caught up: it may be shared.
    private func isBehind(_ side: Int, _ other: Int) -> Bool {
        guard let lower = sides[side].lower, let upper = sides[other].upper else { return false }
        return compareKeys(lower, upper) >= 0
    }

    /// Goes on in one tree alone.
    private mutating func take(_ side: Int, from position: [UInt8]) throws(ReadError) {
        if sides[side].height > 1 { return try enter(side, from: position) }
        passDiffering(to: sides[side].upper.map { Array($0) })
        sides[side].skip()
    }

    private mutating func enter(_ side: Int, from position: [UInt8]) throws(ReadError) {
        let height = sides[side].height
        guard let node = try sides[side].enter(at: position) else { return }
        messages.add(node, height: height, side: side, from: position, before: end)
    }

    // MARK: Passing

    /// Passes keys whose leaves are shared: what may differ is those that have messages above.
    private mutating func passShared(to limit: [UInt8]?) {
        closeRange()
        while let (key, differs) = messages.takeKey(below: limit) {
            if differs { ready.append(.key(key)) }
        }
        advance(to: limit)
    }

    private mutating func passDiffering(to limit: [UInt8]?) {
        messages.drop(below: limit)
        if open == nil, let position { open = (position, 0) }
        open?.leaves += 1
        advance(to: limit)
        if let open, open.leaves >= Self.rangeLeavesMax { closeRange() }
    }

    private mutating func closeRange() {
        guard let open else { return }
        self.open = nil
        var upper = position
        if let end, upper.map({ Self.isBelow(end, $0) }) ?? true { upper = end }
        if let upper, !Self.isBelow(open.lower, upper) { return }
        ready.append(.range(lower: open.lower, upper: upper))
    }

    /// In a damaged tree bounds need not be in order; the position never goes back.
    private mutating func advance(to limit: [UInt8]?) {
        if let limit, let position, !Self.isBelow(position, limit) { return }
        position = limit
    }

    // MARK: Keys

    private static func isBelow(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        a.withUnsafeBytes { a in b.withUnsafeBytes { compareKeys(a, $0) < 0 } }
    }

    /// A copy of the lower one; nil stands for infinity.
    private static func lowest(
        _ a: UnsafeRawBufferPointer?, _ b: UnsafeRawBufferPointer?
    ) -> [UInt8]? {
        guard let a else { return b.map { Array($0) } }
        guard let b else { return Array(a) }
        return Array(compareKeys(a, b) <= 0 ? a : b)
    }

    private static func isEqual(_ a: UnsafeRawBufferPointer?, _ b: [UInt8]?) -> Bool {
        guard let a, let b else { return a == nil && b == nil }
        return a.elementsEqual(b)
    }
}
