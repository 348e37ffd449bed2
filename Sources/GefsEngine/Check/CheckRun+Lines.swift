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
        guard let line = walk.line, node < line.firstNode else { return }
        let isInherited = walk.inherited.contains(node)
        checkInherited(pointer, owner: node, isInherited, line, .node(pointer))
        if !isInherited { walk.gaps.append(LineGap(node: node, snapshot: line.index)) }
    }

    /// Checks that data that was met before, in node `owner`, can come from the snapshot before.
    func checkInherited(
        data pointer: BlockPointer, owner: NodeNumber, _ use: @autoclosure () -> BlockUse
    ) {
        guard let line = walk.line, owner < line.firstNode else { return }
        // Of record 0 all is known by its nodes.
        let isInherited =
            line.before == .zero
            ? walk.inherited.contains(owner)
            : snapshot(of: owner).map { history.mayInherit(from: $0, line.index) } ?? false
        checkInherited(pointer, owner: owner, isInherited, line, use())
    }

    private func checkInherited(
        _ pointer: BlockPointer, owner: NodeNumber, _ isInherited: Bool, _ line: WalkedLine,
        _ use: @autoclosure () -> BlockUse
    ) {
        let birth = pointer.generation
        let first = snapshot(of: owner)
        let isKnown = isInherited || !line.isBeforeKnown
        if history.isOwnedTwice(birth, by: line.index, first: first, isInherited: isKnown) {
            let generation = first.map { snapshots[$0].generation } ?? .none
            let fault = BlockFault.ownedTwice(birth, by: line.generation, first: generation)
            self.fault(.block(pointer.address, use(), fault))
        } else if !isKnown {
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

/// A node that a snapshot has, an older one has, but not the one before.
struct LineGap {
    let node: NodeNumber
    /// Its place among all.
    let snapshot: Int
}
