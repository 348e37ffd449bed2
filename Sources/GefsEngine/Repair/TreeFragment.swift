import GefsFormat

/// A tree without a name, or what is left below a root that is lost.
struct TreeFragment {
    let root: TreeRoot
    /// Whether the root directory is in it, as it is in a whole tree, and in the last leaf of one.
    let hasRootDirectory: Bool
    /// The snapshot that it shares most with.
    let base: Generation
    let inspection: TreeInspection
}

/// Puts the parts of trees together that have lost their roots.
///
/// Nothing tells the root of a tree from a part of one. But parts of one tree have no keys in
/// common, and share nodes with the same snapshot; and only together do they know what a file is
/// called and where its data lies. What is in none of them, they shared with that snapshot, or it
/// is lost, and what the snapshot has is the best that there is.
struct TreeFragments {
    let nodes: RepairNodes
    let space: RepairSpace
    let table: ArenaTable
    /// The trees that parts may share nodes with.
    let bases: [Generation: TreeFragment]

    /// Some parts with no keys in common.
    private struct Group {
        var base: Generation
        var parts: [TreeFragment]
        var pairs: [[RepairScan.Pair]]
    }

    /// The trees that parts make.
    ///
    /// - Parameters:
    ///   - parts: the newest first.
    ///   - generation: of the snapshot with a number that a tree is for.
    func joined(
        _ parts: [TreeFragment], generation: (Int) -> Generation
    ) throws(RepairError) -> [LostHistory.Stray] {
        var groups: [Group] = []
        let readable = parts.filter { $0.inspection.loss == nil }
        // Leaves share no nodes: they come last, and go where they fit.
        for part in readable.filter({ $0.base != .zero }) + readable.filter({ $0.base == .zero }) {
            let isWhole = part.hasRootDirectory && readable.count == 1
            let pairs = isWhole ? [] : try pairs(of: part)
            let place = groups.firstIndex { group in
                (part.base == .zero || group.base == part.base) && !pairs.isEmpty
                    && group.pairs.allSatisfy { Self.areDisjoint($0, pairs) }
            }
            if let place {
                groups[place].parts.append(part)
                groups[place].pairs.append(pairs)
            } else {
                groups.append(Group(base: part.base, parts: [part], pairs: [pairs]))
            }
        }
        var strays: [LostHistory.Stray] = []
        for (index, group) in groups.enumerated() {
            var root = group.parts[0].root
            var base = group.base
            let isPatched = group.parts.count > 1 || !group.parts[0].hasRootDirectory
            if isPatched {
                if base == .zero { base = try relative(of: Array(group.pairs.joined())) }
                let pairs = try Self.filled(group.pairs, from: bases[base].map(self.pairs) ?? [])
                let commit = RepairCommit(nodes: nodes, space: space, table: table)
                root = try commit.tree(pairs, generation: generation(index))
            }
            strays.append(LostHistory.Stray(root: root, base: base, isPatched: isPatched))
        }
        return strays
    }

    /// The snapshot that has most in common with some parts; of several the newest.
    private func relative(of pairs: [RepairScan.Pair]) throws(RepairError) -> Generation {
        var best = (generation: Generation.zero, count: 0)
        let own = Dictionary(
            pairs.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
        for (generation, base) in bases.sorted(by: { $0.key < $1.key }) {
            let count = try self.pairs(of: base).count { own[$0.key] == $0.value }
            if count > 0, count >= best.count { best = (generation, count) }
        }
        return best.generation
    }

    /// All pairs of a part that can be read.
    private func pairs(of part: TreeFragment) throws(RepairError) -> [RepairScan.Pair] {
        let target = RepairTarget(
            nodes, space, generation: .zero, replaced: part.inspection.replaced)
        guard let whole = try target.apply(part.inspection.rewriting, to: part.root) else {
            return []
        }
        return try RepairScan(target: target).pairs(whole).pairs
    }

    /// What some parts hold, and between them what a snapshot has: but no data of files that are gone
    /// or shorter by now.
    private static func filled(
        _ parts: [[RepairScan.Pair]], from base: [RepairScan.Pair]
    ) -> [Key: [UInt8]] {
        let fill = base.filter { pair in !parts.contains { isWithin($0, pair.key) } }
        var result: [Key: [UInt8]] = [:]
        var lengths: [UInt64: Int64] = [:]
        for pair in fill + parts.joined() {
            result[pair.key] = pair.value
            switch pair.key.withBytes({ try? DecodedKey($0) }) {
            case .entry, .inode:
                let entry = pair.value.withUnsafeBytes {
                    try? DirectoryEntry.decodingAnyLength($0)
                }
                if let entry { lengths[entry.0.qidPath] = entry.0.length }
            default: break
            }
        }
        for pair in fill {
            if case .data(let qid, let offset)? = pair.key.withBytes({ try? DecodedKey($0) }),
                offset >= lengths[qid].flatMap({ UInt64(exactly: $0) }) ?? 0
            {
                result[pair.key] = nil
            }
        }
        return result
    }

    private static func isWithin(_ pairs: [RepairScan.Pair], _ key: Key) -> Bool {
        guard let first = pairs.first?.key, let last = pairs.last?.key else { return false }
        return first <= key && key <= last
    }

    private static func areDisjoint(
        _ left: [RepairScan.Pair], _ right: [RepairScan.Pair]
    ) -> Bool {
        guard let first = left.first?.key, let last = left.last?.key, let low = right.first?.key,
            let high = right.last?.key
        else { return false }
        return last < low || high < first
    }
}
