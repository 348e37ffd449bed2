import GefsFormat

/// Finds the parts in which two trees differ, without looking at what they share.
///
/// Both trees are taken apart level by level, from the roots down. What both have at a level, the
/// same node with the same messages on the way to it, is dropped; only the rest is read and taken
/// apart further. The cost is that of the nodes that differ, not that of the trees.
///
/// A node that occurs twice in one tree, which only damage can bring about, counts once. So the
/// work is bounded by nodes times height, whatever the disk says.
final class TreeDifference {
    private let run: CheckRun
    private var seen: [ContiguousArray<UInt32>] = [[], []]
    private var places: ContiguousArray<Int> = []
    private var stamp: UInt32 = 0

    init(_ run: CheckRun) {
        self.run = run
    }

    /// Calls `body` with each leaf that only one of the trees has, those of the second one first.
    ///
    /// - Parameters:
    ///   - old: root of the first tree; `nil` for an empty one.
    ///   - new: root of the second tree.
    ///   - range: keys that matter. Parts without any may be left out; others have more.
    ///   - body: gets the leaf and whether it is the second tree's.
    func compare(
        from old: NodeNumber?, to new: NodeNumber, within range: KeyRange? = nil,
        _ body: (LeafPart, _ isAdded: Bool) -> Void
    ) {
        let graph = run.graph
        var old = old.flatMap { $0 == NodeGraph.none ? nil : $0 }.map { [TreePart($0)] } ?? []
        var new = new == NodeGraph.none ? [] : [TreePart(new)]
        var level = (old + new).map { graph[$0.node].height }.max() ?? 0
        // Leaves that are too high up.
        var strayOld: [TreePart] = []
        var strayNew: [TreePart] = []
        while level > 0 {
            dropCommon(&old, &new)
            guard level > 1 else { break }
            old = expand(old, level, range, &strayOld)
            new = expand(new, level, range, &strayNew)
            level -= 1
        }
        for (parts, isAdded) in [(new, true), (strayNew, true), (old, false), (strayOld, false)] {
            for part in parts where !run.isCancelled {
                guard let page = readablePage(part), page.node.isLeaf else { continue }
                body(LeafPart(page: page, runs: part.runs), isAdded)
            }
        }
    }

    private func readablePage(_ part: TreePart) -> NodePage? {
        run.graph[part.node].flags.contains(.unreadable) ? nil : run.page(part.node)
    }

    /// The parts one level down. Those that are not as high as `level` stay as they are.
    private func expand(
        _ parts: [TreePart], _ level: Int, _ range: KeyRange?, _ strays: inout [TreePart]
    ) -> [TreePart] {
        var below: [TreePart] = []
        for part in parts where !run.isCancelled {
            let node = run.graph[part.node]
            if node.height < level, parts.count == 1 {
                below.append(part)
            } else if node.flags.contains(.leaf) {
                strays.append(part)
            } else if let page = readablePage(part) {
                below += part.children(page, run.graph, within: range)
            }
        }
        return below
    }

    /// Removes what both lists have, and what one has twice.
    private func dropCommon(_ old: inout [TreePart], _ new: inout [TreePart]) {
        grow()
        stamp += 1
        new = new.filter { insert($0, into: 0) }
        for (place, part) in new.enumerated() { places[Int(part.node)] = place }
        guard !old.isEmpty else { return }
        var common = Array(repeating: false, count: new.count)
        old = old.filter { part in
            guard insert(part, into: 1) else { return false }
            guard seen[0][Int(part.node)] == stamp else { return true }
            let place = places[Int(part.node)]
            common[place] = new[place].digest == part.digest
            return !common[place]
        }
        new = new.indices.filter { !common[$0] }.map { new[$0] }
    }

    private func insert(_ part: TreePart, into list: Int) -> Bool {
        let isNew = seen[list][Int(part.node)] != stamp
        seen[list][Int(part.node)] = stamp
        return isNew
    }

    private func grow() {
        let missing = run.graph.nodes.count - places.count
        guard missing > 0 else { return }
        for list in seen.indices {
            seen[list].append(contentsOf: repeatElement(0, count: missing))
        }
        places.append(contentsOf: repeatElement(0, count: missing))
    }
}
