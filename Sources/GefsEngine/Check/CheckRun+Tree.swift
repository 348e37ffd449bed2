import GefsFormat

/// The walk through the nodes of a tree: hashes, heights, order, ranges, fills, and the ownership
/// of every node and data block.
///
/// A node that was met before, in this tree or another, is not walked again: what its new parent
/// says about it is compared with what is known.
/// Source: FORMAT 6.
extension CheckRun {
    /// Walks a tree.
    ///
    /// - Returns: its root, `NodeGraph.none` if it cannot be followed, and what was found.
    func walkTree(
        _ name: TreeName, root: BlockPointer, height: UInt32
    ) -> (NodeNumber, NodeGraph.Flags) {
        walk.tree = name
        walk.flags = []
        guard height >= 1, height <= UInt32(Geometry.treeHeightMax) else {
            fault(.node(root.address, name, .treeHeight(height)))
            return (NodeGraph.none, [.damaged, .incomplete])
        }
        let number = visit(root, height: Int(height), depth: 0, NodeBounds())
        return (number, walk.flags)
    }

    /// Reports something that makes the tree being walked damaged.
    func fault(_ what: Finding.What) {
        let finding = Finding(what)
        if finding.severity == .error { walk.flags.insert(.damaged) }
        log.add(finding)
    }

    private func visit(
        _ pointer: BlockPointer, height: Int, depth: Int, _ bounds: NodeBounds
    ) -> NodeNumber {
        guard !isCancelled else {
            walk.flags.insert(.incomplete)
            return NodeGraph.none
        }
        guard let block = arenas.block(at: pointer.address) else {
            fault(.block(pointer.address, .node(pointer), .outside))
            walk.flags.insert(.incomplete)
            return NodeGraph.none
        }
        if free[block] { fault(.block(pointer.address, .node(pointer), .markedFree)) }
        let number = NodeNumber(graph.nodes.count)
        let birth = UInt32(truncatingIfNeeded: pointer.generation.rawValue)
        let first = owners.claim(
            block, .init(hash: pointer.hash, birth: birth, owner: number, identity: 0, role: .node))
        if let first {
            if first.role == .node, first.hash == pointer.hash {
                if first.birth != birth {
                    let fault = BlockFault.births(found: pointer.generation, first: first.birth)
                    self.fault(.block(pointer.address, .node(pointer), fault))
                }
                checkInherited(node: first.owner, pointer)
                compare(first.owner, pointer, height: height, bounds)
                return first.owner
            }
            let other = firstUse(of: block, first)
            fault(.block(pointer.address, .node(pointer), .usedTwice(first: other)))
            if let stray = walk.strays[pointer] {
                compare(stray, pointer, height: height, bounds)
                return stray
            }
            walk.strays[pointer] = number
        }
        _ = graph.add(pointer, height: height)
        let flagsBefore = walk.flags
        walk.flags = []
        explore(number, pointer, height: height, depth: depth, bounds)
        graph.setFlags(number, walk.flags)
        walk.flags = walk.flags.intersection(.inherited).union(flagsBefore)
        return number
    }

    /// Holds what another parent says about a node against what is known.
    private func compare(
        _ number: NodeNumber, _ pointer: BlockPointer, height: Int, _ bounds: NodeBounds
    ) {
        let node = graph[number]
        walk.flags.formUnion(node.flags.intersection(.inherited))
        guard !node.flags.contains(.unreadable) else { return }
        if node.height != height {
            let kind: BlockKind = node.flags.contains(.leaf) ? .leaf : .pivot
            fault(.node(pointer.address, walk.tree, .height(kind, height: height)))
        }
        checkFill(bounds, node.fill, pointer)
        // Both are empty while the node itself is being walked; then it contains itself, and its
        // height has been found wrong.
        let outside: [Key] = graph.withKeys(number) { low, high in
            guard low.count > 0 else { return [] }
            return [low, high].filter { !bounds.contains($0) }.map { Key($0) }
        }
        for key in outside { fault(.node(pointer.address, walk.tree, .range(key))) }
    }

    private func checkFill(_ bounds: NodeBounds, _ found: Int, _ pointer: BlockPointer) {
        guard let stated = bounds.fill, stated != found else { return }
        fault(.node(pointer.address, walk.tree, .fill(stated: stated, found: found)))
    }

    /// Reads a node, checks it, and goes on to its children.
    private func explore(
        _ number: NodeNumber, _ pointer: BlockPointer, height: Int, depth: Int,
        _ bounds: NodeBounds
    ) {
        checkBirth(pointer, .node(pointer))
        checkOwn(pointer, .node(pointer))
        let memory = UnsafeMutableRawBufferPointer(
            start: walk.page(depth: depth), count: Geometry.blockBytes)
        guard let node = read(pointer, into: memory) else {
            walk.flags.formUnion([.incomplete, .unreadable])
            return
        }
        if node.isLeaf { walk.flags.insert(.leaf) }
        graph.setFill(number, node.fill)
        checkFill(bounds, node.fill, pointer)
        if node.isLeaf != (height == 1) {
            let kind: BlockKind = node.isLeaf ? .leaf : .pivot
            fault(.node(pointer.address, walk.tree, .height(kind, height: height)))
            guard height > 1 else { return }
        }
        guard node.count > 0 else {
            return fault(.node(pointer.address, walk.tree, .empty))
        }
        let ends = checkRecords(node, pointer, bounds)
        if !walk.flags.contains(.damaged) {
            // The tolerant look above is not the whole format; the engine's own is.
            do throws(CorruptBlock) {
                try NodeCheck.check(UnsafeRawBufferPointer(memory), at: pointer.address)
            } catch {
                fault(.node(pointer.address, walk.tree, .record(error.reason)))
            }
        }
        claimData(of: node, number)
        var last = NodeGraph.none
        if !node.isLeaf {
            last = visitChildren(node, number, pointer, height: height, depth: depth, bounds)
        }
        setRange(of: number, ends, lastChild: last)
    }

    private func read(
        _ pointer: BlockPointer, into memory: UnsafeMutableRawBufferPointer
    ) -> NodeScan? {
        do throws(DeviceError) {
            try source.read(at: pointer.address.rawValue, into: memory)
        } catch {
            fault(.block(pointer.address, .node(pointer), .unreadable(error)))
            return nil
        }
        advance(blocks: 1)
        let bytes = UnsafeRawBufferPointer(memory)
        let found = MetroHash64.hash(bytes)
        guard found == pointer.hash else {
            fault(
                .block(
                    pointer.address, .node(pointer), .hash(found: found, expected: pointer.hash)))
            return nil
        }
        do throws(CorruptBlock.Reason) {
            return try NodeScan(bytes.baseAddress.unsafelyUnwrapped)
        } catch {
            fault(.node(pointer.address, walk.tree, .undecodable(error)))
            return nil
        }
    }

    /// - Returns: the last child.
    private func visitChildren(
        _ node: NodeScan, _ number: NodeNumber, _ pointer: BlockPointer, height: Int, depth: Int,
        _ bounds: NodeBounds
    ) -> NodeNumber {
        if node.count < 2 { fault(.node(pointer.address, walk.tree, .oneChild)) }
        graph.reserveChildren(of: number, count: node.count)
        var last = NodeGraph.none
        for index in 0..<node.count {
            last = NodeGraph.none
            guard let child = node.child(index) else {
                walk.flags.insert(.incomplete)
                continue
            }
            let high = index + 1 < node.count ? node.key(index + 1) : bounds.high
            last = visit(
                child.pointer, height: height - 1, depth: depth + 1,
                NodeBounds(low: node.key(index), high: high, fill: child.fill))
            graph.setChild(index, of: number, to: last)
        }
        return last
    }

    /// Keeps what other parents have to be compared with: the lowest key of the node, and the
    /// highest along the last children.
    private func setRange(
        of number: NodeNumber, _ ends: (low: UnsafeRawBufferPointer, high: UnsafeRawBufferPointer),
        lastChild: NodeNumber
    ) {
        let higher: [UInt8]? =
            lastChild == NodeGraph.none
            ? nil
            : graph.withKeys(lastChild) { _, high in
                compareKeys(high, ends.high) > 0 ? Array(high) : nil
            }
        if let higher {
            higher.withUnsafeBytes { graph.setRange(number, low: ends.low, high: $0) }
        } else {
            graph.setRange(number, low: ends.low, high: ends.high)
        }
    }
}
