import GefsFormat

/// The entries of deadlists against trees and all else that is in use.
///
/// Source: FORMAT 8.2, 8.4.
extension CheckRun {
    /// Checks that the blocks of list (W, g) are held by W's predecessor, and by nobody from W on.
    ///
    /// Costs two walks over the nodes in memory for each snapshot that has lists.
    func checkDeadEntries() {
        guard !isCancelled else { return }
        deadReferences.sort { ($0.block, $0.node) < ($1.block, $1.node) }
        let byGeneration = Dictionary(
            snapshots.indices.map { (snapshots[$0].generation, $0) },
            uniquingKeysWith: { first, _ in first })
        let gaps = snapshotsBehindGaps()
        let isAllRead = snapshots.allSatisfy { !$0.flags.contains(.incomplete) }
        var own = HeldNodes()
        var before = HeldNodes()
        for list in deadlists.sorted(by: { $0.generation < $1.generation })
        where !list.blocks.isEmpty {
            guard list.name != .pending else {
                checkPending(list)
                continue
            }
            guard let index = byGeneration[list.generation] else { continue }
            let predecessor = byGeneration[snapshots[index].record.predecessor]
            if own.snapshot != index {
                // Lists come by age, so the last one is often the predecessor of this one.
                if own.snapshot == predecessor { swap(&own, &before) }
                own.mark(index, root: snapshots[index].root, graph)
            }
            if let predecessor, before.snapshot != predecessor {
                before.mark(predecessor, root: snapshots[predecessor].root, graph)
            }
            for block in list.blocks {
                let isOwn = isHeld(block, own)
                if isOwn {
                    report(list.name, .entryHeld(address(of: block), by: list.generation))
                } else if isAllRead {
                    checkHolders(of: block, list, index, gaps)
                }
                checkBirth(of: block, list)
                if let predecessor { checkHeld(block, list, by: predecessor, before) }
            }
        }
    }

    private func report(_ list: DeadlistName, _ fault: DeadlistFault) {
        log.add(.deadlist(list, fault))
    }

    private func checkPending(_ list: CheckedDeadlist) {
        for block in list.blocks {
            let entry = owners[block]
            guard entry.role != .none else { continue }
            let use = use(of: block, entry, isDetailed: log.wants("deadlist.pendingUsed"))
            report(list.name, .pendingUsed(address(of: block), as: use))
        }
    }

    /// Checks that whoever holds a block has gone when its list is freed.
    private func checkHolders(
        of block: Int, _ list: CheckedDeadlist, _ index: Int, _ gaps: [NodeNumber: Set<Int>]
    ) {
        let entry = owners[block]
        if entry.role == .none { return }
        if entry.role == .node || entry.role == .data {
            let nodes = [entry.owner] + references(to: block).map(\.node)
            let holders =
                nodes.map { self.snapshot(of: $0) } + nodes.flatMap { gaps[$0] ?? [] }.map { $0 }
            let other = holders.first { holder in
                holder.map { mayOutlive($0, index, list.birth) } ?? true
            }
            guard let other else { return }
            if let other, history.isBefore(index, other) {
                let generation = snapshots[other].generation
                return report(list.name, .entryHeld(address(of: block), by: generation))
            }
        }
        let use = use(of: block, entry, isDetailed: log.wants("deadlist.entryUsed"))
        report(list.name, .entryUsed(address(of: block), as: use))
    }

    /// The snapshots that have a node although the one before them does not, by node.
    private func snapshotsBehindGaps() -> [NodeNumber: Set<Int>] {
        var result: [NodeNumber: Set<Int>] = [:]
        var todo = walk.gaps
        while let gap = todo.popLast() {
            guard result[gap.node, default: []].insert(gap.snapshot).inserted else { continue }
            for index in 0..<graph[gap.node].childCount {
                let child = graph.child(index, of: gap.node)
                guard child != NodeGraph.none else { continue }
                todo.append(LineGap(node: child, snapshot: gap.snapshot))
            }
        }
        return result
    }

    /// Whether a snapshot may still be there when the list of another one is freed: it is none of
    /// those that keep a predecessor that has the blocks.
    private func mayOutlive(_ holder: Int, _ index: Int, _ birth: Generation) -> Bool {
        if holder == index || history.isBefore(index, holder) { return true }
        if history.isBefore(holder, index) { return false }
        // What record 0 keeps is known by its tree alone: it holds no other block of generation 0.
        let oldest = max(birth, Generation(rawValue: 1))
        var place = history.before(holder)
        while let found = place, snapshots[found].generation >= oldest {
            if history.isBefore(found, index) { return false }
            place = history.before(found)
        }
        return true
    }

    private func checkBirth(of block: Int, _ list: CheckedDeadlist) {
        let entry = owners[block]
        guard entry.role == .node || entry.role == .data,
            entry.birth != UInt32(truncatingIfNeeded: list.birth.rawValue)
        else { return }
        report(list.name, .entryBirth(address(of: block), found: entry.birth))
    }

    private func checkHeld(
        _ block: Int, _ list: CheckedDeadlist, by predecessor: Int, _ tree: HeldNodes
    ) {
        guard !snapshots[predecessor].flags.contains(.incomplete), !isHeld(block, tree) else {
            return
        }
        let generation = snapshots[predecessor].generation
        report(list.name, .entryNotHeld(address(of: block), by: generation))
    }

    private func address(of block: Int) -> BlockAddress {
        BlockAddress(rawValue: UInt64(block) * UInt64(Geometry.blockBytes))
    }

    /// Whether a block on a deadlist is referred to by a tree, as a node or as data.
    private func isHeld(_ block: Int, _ tree: HeldNodes) -> Bool {
        let entry = owners[block]
        if entry.role == .node, tree.contains(entry.owner) { return true }
        return references(to: block).contains { tree.contains($0.node) }
    }

    /// Who refers to a block on a deadlist as data.
    private func references(to block: Int) -> ContiguousArray<DeadReference>.SubSequence {
        var low = 0
        var high = deadReferences.count
        while low < high {
            let middle = (low + high) / 2
            if deadReferences[middle].block < block { low = middle + 1 } else { high = middle }
        }
        var end = low
        while end < deadReferences.count, deadReferences[end].block == block { end += 1 }
        return deadReferences[low..<end]
    }
}

/// The nodes of one tree.
struct HeldNodes {
    /// Which snapshot's, by its place in the list of snapshots.
    private(set) var snapshot: Int?
    private var stamps: ContiguousArray<UInt32> = []
    private var stamp: UInt32 = 0

    /// Becomes the nodes of another tree.
    mutating func mark(_ snapshot: Int, root: NodeNumber, _ graph: NodeGraph) {
        self.snapshot = snapshot
        let missing = graph.nodes.count - stamps.count
        if missing > 0 { stamps.append(contentsOf: repeatElement(0, count: missing)) }
        stamp += 1
        guard root != NodeGraph.none else { return }
        stamps[Int(root)] = stamp
        var todo = [root]
        while let number = todo.popLast() {
            for index in 0..<graph[number].childCount {
                let child = graph.child(index, of: number)
                guard child != NodeGraph.none, stamps[Int(child)] != stamp else { continue }
                stamps[Int(child)] = stamp
                todo.append(child)
            }
        }
    }

    /// Whether a node belongs to the tree.
    @inline(__always)
    func contains(_ number: NodeNumber) -> Bool {
        Int(number) < stamps.count && stamps[Int(number)] == stamp
    }
}
