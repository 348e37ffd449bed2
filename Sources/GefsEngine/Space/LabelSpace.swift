import GefsFormat

/// A label, and what space it takes.
public struct LabelSpace: Hashable, Sendable {
    public var label: LabelInfo
    /// Bytes of all blocks that its tree refers to, as of the last commit.
    public var referencedBytes: UInt64
    /// Bytes that deleting this label alone would free.
    public var exclusiveBytes: UInt64
}

/// What deleting a set of labels would free.
public struct DeletionSpace: Hashable, Sendable {
    /// The labels, as asked for.
    public var labels: [LabelInfo]
    /// Bytes of trees and files that nothing else holds.
    public var freedBytes: UInt64
    /// Bytes of deadlists that are of no more use. What is left of others is joined, and may come
    /// to take a few blocks more or less.
    public var listBytes: UInt64
    /// Snapshots that go; less than labels where others name them, or forks begin there.
    public var droppedSnapshots: Int
}

extension FileSystem {
    /// All labels in label order, with the space that they take.
    ///
    /// Looks at the deadlists, and at trees only where nobody has counted them yet.
    public func labelSpace() throws(FileError) -> [LabelSpace] {
        let history = try volume.committedHistory()
        defer { history.keepCounts() }
        let own: OwnCount = { (generation) throws(FileError) in try history.own(generation) }
        let books = try history.books().books
        let names = history.graph.labels.keys.sorted { $0.lexicographicallyPrecedes($1) }
        let freed = try books.freedAlone(
            names.compactMap { history.graph.labels[$0]?.generation }, own: own)
        var result: [LabelSpace] = []
        result.reserveCapacity(names.count)
        for name in names {
            guard let label = history.graph.info(ofLabel: name) else { continue }
            let generation = Generation(rawValue: label.generation)
            result.append(
                LabelSpace(
                    label: label,
                    referencedBytes: try history.size(generation).referenced.blockBytes,
                    exclusiveBytes: (freed[generation]?.blocks ?? 0).blockBytes))
        }
        return result
    }

    /// What deleting these labels together would free, and nothing is changed.
    ///
    /// - Throws: `.label` where one of them cannot be deleted.
    public func deletionSpace(of names: [[UInt8]]) throws(FileError) -> DeletionSpace {
        let history = try volume.committedHistory()
        defer { history.keepCounts() }
        var labels: [LabelInfo] = []
        for name in names where !labels.contains(where: { $0.name == name }) {
            if LabelName.reserved.contains(name) { throw .label(.reserved, name) }
            guard let label = history.graph.info(ofLabel: name) else {
                throw .label(.unknown, name)
            }
            if volume.isInUse(name) { throw .label(.inUse, name) }
            labels.append(label)
        }
        return try history.space(deleting: labels)
    }

    /// Immutable labels whose deletion would free at least so many bytes, so that few have to go;
    /// where even all of them would not do, all of them.
    ///
    /// Branches, reserved labels and those in use stay.
    public func thinning(freeing need: UInt64) throws(FileError) -> DeletionSpace {
        let history = try volume.committedHistory()
        defer { history.keepCounts() }
        let own: OwnCount = { (generation) throws(FileError) in try history.own(generation) }
        let books = try history.books().books
        let blocks =
            Int(clamping: need / UInt64(Geometry.blockBytes))
            + (need % UInt64(Geometry.blockBytes) == 0 ? 0 : 1)
        let candidates = history.graph.labels.filter { name, label in
            !label.isMutable && !LabelName.reserved.contains(name) && !volume.isInUse(name)
        }
        var costs: [Generation: Int] = [:]
        for label in candidates.values { costs[label.generation, default: 0] += 1 }
        costs = costs.filter { generation, count in
            history.graph.labelCount(of: generation) == count
        }
        let alone = costs.filter { books.entries[$0.key]?.forkCount == 0 }
        let plan = ThinningPlan(
            try Thinning.stretches(books, costs: alone, own: own), freeing: blocks)
        // Where whole lines have to go, what they were forked from can go, too.
        let chosen = Set(plan?.snapshots ?? Array(costs.keys))
        let names = candidates.filter { chosen.contains($0.value.generation) }.map(\.key)
            .sorted { $0.lexicographicallyPrecedes($1) }
        return try history.space(deleting: names.compactMap(history.graph.info))
    }
}

extension CommittedHistory {
    /// What snapshots hold of each other's blocks, when all that is deleted is gone.
    ///
    /// - Returns: the books, and what is still to be freed of deleted snapshots.
    func books() throws(FileError) -> (books: HistoryBooks, deleted: HistoryBooks.Freed) {
        var books = HistoryBooks(graph, dead: try deadCounts())
        let deleted = try books.dropUnneeded { (generation) throws(FileError) in
            try own(generation)
        }
        return (books, deleted)
    }

    func space(deleting labels: [LabelInfo]) throws(FileError) -> DeletionSpace {
        let freed = try books().books.freed(
            deleting: labels.map { Generation(rawValue: $0.generation) }
        ) { (generation) throws(FileError) in try own(generation) }
        return DeletionSpace(
            labels: labels, freedBytes: freed.blocks.blockBytes,
            listBytes: freed.listBlocks.blockBytes, droppedSnapshots: freed.dropped.count)
    }
}

extension HistoryGraph {
    func info(ofLabel name: [UInt8]) -> LabelInfo? {
        labels[name].map {
            LabelInfo(
                name: name, generation: $0.generation.rawValue, isMutable: $0.isMutable,
                time: times[name])
        }
    }
}

extension Volume {
    /// Whether somebody is attached to a label, or looks at its tree.
    func isInUse(_ label: [UInt8]) -> Bool {
        guard let branch = lock.locked({ branches[label] }) else { return false }
        return branch.lock.locked { branch.userCount > 0 }
    }
}

extension Int {
    /// So many blocks in bytes.
    var blockBytes: UInt64 { UInt64(Swift.max(0, self)) * UInt64(Geometry.blockBytes) }
}
