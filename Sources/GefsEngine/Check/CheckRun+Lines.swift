import GefsFormat

/// What a snapshot may refer to, by its place in history.
///
/// Dropping a snapshot frees what was born after the one before it and is not held by the one behind
/// it. So a block must be born within the span of the first snapshot that holds it, and all others
/// must have it from there. Snapshots are walked from the oldest on: what was met before, an older
/// one holds. Source: FORMAT 8.2, 8.4.
extension CheckRun {
    /// Makes a snapshot the one that is being walked.
    func beginLine(_ index: Int) {
        let snapshot = snapshots[index]
        let before = history.before(index)
        if let before { walk.inherited.mark(before, root: snapshots[before].root, graph) }
        walk.line = WalkedLine(
            index: index, generation: snapshot.generation,
            before: HistoryForest.generationBefore(snapshot.record),
            firstNode: NodeNumber(graph.nodes.count),
            isBeforeKnown: before.map { !snapshots[$0].flags.contains(.incomplete) } ?? false)
    }

    /// Checks when a block was born that no older snapshot refers to.
    func checkOwn(_ pointer: BlockPointer, _ use: @autoclosure () -> BlockUse) {
        guard let line = walk.line else { return }
        let birth = pointer.generation
        if birth > line.generation {
            fault(.block(pointer.address, use(), .bornLater(birth, than: line.generation)))
        } else if line.isBeforeKnown, line.before != .zero, birth <= line.before {
            let fault = BlockFault.notInherited(birth, by: line.generation, from: line.before)
            self.fault(.block(pointer.address, use(), fault))
        }
    }

    /// Checks that a node that was met before is one of the snapshot before.
    func checkInherited(node: NodeNumber, _ pointer: BlockPointer) {
        checkInherited(pointer, owner: node, .node(pointer)) { line in
            walk.inherited.contains(node)
        }
    }

    /// Checks that data that was met before, in node `owner`, can come from the snapshot before.
    func checkInherited(
        data pointer: BlockPointer, owner: NodeNumber, _ use: @autoclosure () -> BlockUse
    ) {
        checkInherited(pointer, owner: owner, use()) { line in
            // What record 0 shares is known by its tree alone.
            if line.before == .zero { return walk.inherited.contains(owner) }
            return snapshot(of: owner).map { history.isBefore($0, line.index) } ?? false
        }
    }

    private func checkInherited(
        _ pointer: BlockPointer, owner: NodeNumber, _ use: @autoclosure () -> BlockUse,
        _ isInherited: (WalkedLine) -> Bool
    ) {
        guard let line = walk.line, owner < line.firstNode else { return }
        let birth = pointer.generation
        if !line.before.isNone, birth > line.before {
            let first = snapshot(of: owner).map { snapshots[$0].generation } ?? .none
            let fault = BlockFault.ownedTwice(birth, by: line.generation, first: first)
            self.fault(.block(pointer.address, use(), fault))
        } else if line.isBeforeKnown, !isInherited(line) {
            let fault = BlockFault.notInherited(birth, by: line.generation, from: line.before)
            self.fault(.block(pointer.address, use(), fault))
        }
    }

    /// The oldest snapshot that has a node.
    func snapshot(of node: NodeNumber) -> Int? {
        var low = 0
        var high = snapshots.count
        while low < high {
            let middle = (low + high) / 2
            if snapshots[middle].firstNode <= node { low = middle + 1 } else { high = middle }
        }
        return low > 0 ? low - 1 : nil
    }
}

/// The snapshot that is being walked, in its line.
struct WalkedLine {
    /// Its place among all.
    let index: Int
    let generation: Generation
    /// The snapshot before it: its own blocks are born later.
    let before: Generation
    /// The first node that no older snapshot has.
    let firstNode: NodeNumber
    /// Whether all that the one before holds has been read.
    let isBeforeKnown: Bool
}
