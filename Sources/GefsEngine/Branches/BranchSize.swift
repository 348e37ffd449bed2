import GefsFormat

/// How many blocks a tree refers to, its nodes included.
struct TreeSize: Hashable, Sendable {
    var referenced: Int
    /// Those of them that were born after the line's base.
    var own: Int

    static func + (left: TreeSize, right: TreeSize) -> TreeSize {
        TreeSize(
            referenced: left.referenced + right.referenced, own: left.own + right.own)
    }

    // MARK: On disk

    /// Key of a configuration value of ours, which the original ignores.
    static func key(_ generation: Generation) -> Key {
        let digits = String(generation.rawValue, radix: 16)
        let padded = String(repeating: "0", count: 16 - digits.count) + digits
        return Key.config(keyPrefix + Array(padded.utf8))
    }

    static let keyPrefix: [UInt8] = Array("gefs.size.".utf8)

    var value: [UInt8] { Array("\(referenced) \(own)".utf8) }

    init(referenced: Int, own: Int) {
        self.referenced = referenced
        self.own = own
    }

    init?(_ value: [UInt8]) {
        let words = String(decoding: value, as: UTF8.self).split(separator: " ")
        guard words.count == 2, let referenced = Int(words[0]), let own = Int(words[1]),
            referenced >= 0, own >= 0
        else { return nil }
        self.init(referenced: referenced, own: own)
    }
}

/// The size of a branch's tree as it changes; flush thread only.
///
/// Disks of the original do not say how large their trees are. Until somebody has counted one of
/// the branch's snapshots, changes are added up from the oldest one that might be counted.
struct BranchSize {
    private var known: TreeSize?
    /// Changes since the volume opened the branch.
    private var sum = TreeSize(referenced: 0, own: 0)
    /// What `sum` was at each snapshot that has not been counted.
    private var sums: [Generation: TreeSize] = [:]
    /// So many snapshots are remembered while no size is known.
    private static let sumsMax = 10_000

    init(_ known: TreeSize?) {
        self.known = known
    }

    /// The size now, where it is known.
    var now: TreeSize? { known.map { $0 + sum } }

    mutating func add(_ change: TreeSize) {
        sum = sum + change
    }

    /// The branch's present state becomes a snapshot.
    mutating func mark(_ generation: Generation) {
        guard known == nil, sums.count < Self.sumsMax else { return }
        sums[generation] = sum
    }

    /// Somebody has counted a snapshot.
    mutating func learn(_ size: TreeSize, of generation: Generation) {
        guard known == nil, let then = sums[generation] else { return }
        known = TreeSize(
            referenced: size.referenced - then.referenced, own: size.own - then.own)
        sums = [:]
    }
}
