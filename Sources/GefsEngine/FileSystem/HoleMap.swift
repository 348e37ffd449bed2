/// Which blocks of a file are missing, as far as the file goes.
///
/// Invariants: `ranges` are in order, none of them is empty, and no two of them touch; `count` is how
/// many blocks they have together, unless they were too many to be kept.
struct HoleMap: Equatable {
    private(set) var ranges: [Range<UInt64>] = []
    private(set) var count: UInt64 = 0
    /// There are too many ranges: how many blocks are missing is known, but not which.
    private(set) var isCountOnly = false

    /// What is kept of one file: 512 KiB.
    static let rangesMax = 32768

    var isEmpty: Bool { count == 0 }

    /// Whether a block is known to be missing.
    func contains(_ block: UInt64) -> Bool {
        let index = first { $0.upperBound > block }
        return index < ranges.count && ranges[index].contains(block)
    }

    mutating func insert(_ range: Range<UInt64>) {
        guard !range.isEmpty else { return }
        // What it touches becomes one with it.
        let low = first { $0.upperBound >= range.lowerBound }
        let high = first { $0.lowerBound > range.upperBound }
        var merged = range
        if low < high {
            merged =
                min(
                    range.lowerBound, ranges[low].lowerBound)..<max(
                    range.upperBound, ranges[high - 1].upperBound)
        }
        replace(low..<high, with: [merged])
        if ranges.count > Self.rangesMax { (ranges, isCountOnly) = ([], true) }
    }

    mutating func remove(_ range: Range<UInt64>) {
        guard !range.isEmpty, !ranges.isEmpty else { return }
        let low = first { $0.upperBound > range.lowerBound }
        let high = first { $0.lowerBound >= range.upperBound }
        guard low < high else { return }
        let (start, end) = (ranges[low].lowerBound, ranges[high - 1].upperBound)
        var rest: [Range<UInt64>] = []
        if start < range.lowerBound { rest.append(start..<range.lowerBound) }
        if range.upperBound < end { rest.append(range.upperBound..<end) }
        replace(low..<high, with: rest)
    }

    /// Nothing is missing from `end` on: the file does not go that far.
    mutating func cut(at end: UInt64) {
        remove(end..<UInt64.max)
    }

    private mutating func replace(_ old: Range<Int>, with new: [Range<UInt64>]) {
        for range in ranges[old] { count -= UInt64(range.count) }
        for range in new { count += UInt64(range.count) }
        ranges.replaceSubrange(old, with: new)
    }

    /// Index of the first range that fulfils a condition; all behind it do, too.
    private func first(_ condition: (Range<UInt64>) -> Bool) -> Int {
        var (low, high) = (0, ranges.count)
        while low < high {
            let middle = (low + high) / 2
            if condition(ranges[middle]) {
                high = middle
            } else {
                low = middle + 1
            }
        }
        return low
    }
}
