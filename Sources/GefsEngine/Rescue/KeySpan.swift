import GefsFormat

/// A range of keys of a tree, from its lowest key up to the first one behind it.
struct KeySpan: Hashable {
    /// The lowest key; empty for the start of the tree.
    var low: [UInt8]
    /// The first key that is not in the range; nil for the end of the tree.
    var high: [UInt8]?

    /// Every key.
    static let all = KeySpan(low: [], high: nil)

    /// This one key.
    static func only(_ key: [UInt8]) -> KeySpan {
        KeySpan(low: key, high: successor(of: key))
    }

    /// All keys that start with these bytes.
    static func prefix(_ prefix: [UInt8]) -> KeySpan {
        var high = prefix
        while let last = high.last, last == .max { high.removeLast() }
        guard let last = high.last else { return KeySpan(low: prefix, high: nil) }
        high[high.count - 1] = last + 1
        return KeySpan(low: prefix, high: high)
    }

    /// The first key that sorts behind a key.
    static func successor(of key: [UInt8]) -> [UInt8] { key + [0] }

    static func isBelow(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        left.withBytes { left in right.withBytes { compareKeys(left, $0) < 0 } }
    }

    var isEmpty: Bool {
        guard let high else { return false }
        return !Self.isBelow(low, high)
    }

    /// What both ranges have.
    func intersection(_ other: KeySpan) -> KeySpan {
        let low = Self.isBelow(self.low, other.low) ? other.low : self.low
        guard let mine = high else { return KeySpan(low: low, high: other.high) }
        guard let theirs = other.high else { return KeySpan(low: low, high: mine) }
        return KeySpan(low: low, high: Self.isBelow(theirs, mine) ? theirs : mine)
    }

    /// What lies in front of and behind another range that is part of this one.
    func parts(around inner: KeySpan) -> [KeySpan] {
        var parts = [KeySpan(low: low, high: inner.low)]
        if let end = inner.high { parts.append(KeySpan(low: end, high: high)) }
        return parts.filter { !$0.isEmpty }
    }
}
