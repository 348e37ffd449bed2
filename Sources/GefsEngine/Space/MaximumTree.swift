/// Numbers in a row. Something can be added to all of them up to any place, and the greatest is
/// known at once.
struct MaximumTree {
    private let leafCount: Int
    private var maxima: [Int]
    private var added: [Int]

    /// Less than any number that is set.
    private static let lowest = Int.min / 4

    /// A row of places without numbers.
    init(count: Int) {
        var leaves = 1
        while leaves < count { leaves *= 2 }
        leafCount = leaves
        maxima = Array(repeating: Self.lowest, count: 2 * leaves)
        added = Array(repeating: 0, count: 2 * leaves)
    }

    /// Gives a place its number. Numbers are set in order, so nothing was added there before.
    mutating func set(_ place: Int, _ value: Int) {
        var node = leafCount + place
        maxima[node] = value
        node /= 2
        while node > 0 {
            maxima[node] = max(maxima[2 * node], maxima[2 * node + 1]) + added[node]
            node /= 2
        }
    }

    /// Adds to all numbers up to a place.
    mutating func add(_ value: Int, through last: Int) {
        add(value, through: last, node: 1, 0, leafCount)
    }

    private mutating func add(_ value: Int, through last: Int, node: Int, _ low: Int, _ high: Int) {
        if last < low { return }
        if high - 1 <= last {
            maxima[node] += value
            added[node] += value
            return
        }
        let middle = (low + high) / 2
        add(value, through: last, node: 2 * node, low, middle)
        add(value, through: last, node: 2 * node + 1, middle, high)
        maxima[node] = max(maxima[2 * node], maxima[2 * node + 1]) + added[node]
    }

    /// The greatest number, and where it is: the last place where there are several.
    var maximum: (value: Int, place: Int) {
        var node = 1
        while node < leafCount {
            node = maxima[2 * node + 1] >= maxima[2 * node] ? 2 * node + 1 : 2 * node
        }
        return (maxima[1], node - leafCount)
    }
}
