import GefsFormat

/// What is known of the contents of one or several neighbouring nodes.
private struct Contents {
    /// Bytes of the records of leaves, or of the entries of pivots.
    var entryBytes = 0
    var messageBytes = 0
    /// Sum of both where only that is known.
    var unknownBytes = 0
    var hasNew = false

    mutating func add(_ node: ChildEntry) {
        if node.isNew { hasNew = true }
        if node.height > 1, let buffer = node.buffer {
            let pivot = PivotView(unchecked: buffer.base)
            let entries = pivot.childBytes + Geometry.tableEntryBytes * pivot.childCount
            entryBytes += entries
            messageBytes += pivot.fill - entries
        } else if node.height > 1 {
            unknownBytes += node.fill
        } else {
            entryBytes += node.fill
        }
    }

    var fill: Int { entryBytes + messageBytes + unknownBytes }
}

extension TreeWriter {
    // MARK: Small nodes

    /// Makes one node of neighbours that have little in them, if one of them is new.
    mutating func joinSmallNodes(_ list: inout NodeList) throws(TreeError) {
        var start = 0
        while start + 1 < list.entries.count {
            var contents = Contents()
            contents.add(list.entries[start])
            var end = start + 1
            while end < list.entries.count, try canJoin(&contents, &list.entries, start..<end) {
                end += 1
            }
            if end - start > 1 {
                let nodes = list.entries[start..<end]
                let joined = try nodes[start].height == 1 ? joinLeaves(nodes) : joinPivots(nodes)
                for node in nodes { retire(node) }
                list.entries.replaceSubrange(start..<end, with: CollectionOfOne(joined))
            }
            start += 1
        }
    }

    /// Whether the node behind those in `range` should join them; if so `contents` has it.
    private func canJoin(
        _ contents: inout Contents, _ nodes: inout ContiguousArray<ChildEntry>,
        _ range: Range<Int>
    ) throws(TreeError) -> Bool {
        let index = range.upperBound
        var sum = contents
        sum.add(nodes[index])
        guard sum.hasNew else { return false }
        if nodes[index].height == 1 {
            guard sum.fill <= NodeLimits.joinedLeafBytes else { return false }
            contents = sum
            return true
        }
        // Parents state one fill for entries and messages; a look into the node tells them apart,
        // but must promise something.
        if sum.entryBytes + sum.unknownBytes > NodeLimits.joinedEntryBytes
            || sum.messageBytes + sum.unknownBytes > NodeLimits.joinedMessageBytes
        {
            guard sum.entryBytes <= NodeLimits.joinedEntryBytes / 2,
                sum.fill <= NodeLimits.joinedEntryBytes + NodeLimits.joinedMessageBytes
            else { return false }
            sum = Contents()
            for known in range.lowerBound...index {
                if nodes[known].buffer == nil {
                    let end = known + 1 < nodes.count ? nodes[known + 1].key : nil
                    nodes[known].buffer = try load(nodes[known], before: end)
                }
                sum.add(nodes[known])
            }
            guard sum.entryBytes <= NodeLimits.joinedEntryBytes,
                sum.messageBytes <= NodeLimits.joinedMessageBytes
            else { return false }
        }
        contents = sum
        return true
    }

    private func joinLeaves(_ nodes: ArraySlice<ChildEntry>) throws(TreeError) -> ChildEntry {
        let buffer = target.newBuffer()
        var builder = LeafBuilder(block: buffer.base)
        for (position, node) in zip(nodes.indices, nodes) {
            let block = try load(node, before: end(of: nodes, position))
            let leaf = LeafView(unchecked: block.base)
            for index in 0..<leaf.count {
                builder.append(key: leaf.key(index), value: leaf.value(index))
            }
            withExtendedLifetime(block) {}
        }
        return ChildEntry(newLeaf: buffer, fill: builder.finish())
    }

    private func joinPivots(_ nodes: ArraySlice<ChildEntry>) throws(TreeError) -> ChildEntry {
        let buffer = target.newBuffer()
        var builder = PivotBuilder(block: buffer.base)
        for (position, node) in zip(nodes.indices, nodes) {
            let block = try load(node, before: end(of: nodes, position))
            let pivot = PivotView(unchecked: block.base)
            for index in 0..<pivot.childCount {
                builder.appendChild(
                    key: pivot.key(index), pointer: pivot.pointer(index),
                    fill: pivot.childFill(index))
            }
            for index in 0..<pivot.messageCount { builder.appendMessage(pivot.message(index)) }
            withExtendedLifetime(block) {}
        }
        let height = nodes[nodes.startIndex].height
        return ChildEntry(newPivot: buffer, fill: builder.finish(), height: height)
    }

    /// The key that the keys of a node must stay below.
    private func end(
        of nodes: ArraySlice<ChildEntry>, _ position: Int
    ) -> UnsafeRawBufferPointer? {
        position + 1 < nodes.endIndex ? nodes[position + 1].key : nil
    }

    // MARK: Low nodes

    /// Attaches nodes of less height to their neighbours, so that all have `height`. If there is
    /// only one node it stays as it is.
    mutating func liftLowNodes(_ list: inout NodeList, to height: Int) throws(TreeError) {
        while list.entries.count > 1,
            let low = list.entries.indices.min(by: {
                list.entries[$0].height < list.entries[$1].height
            }),
            list.entries[low].height < height
        {
            let neighbour = low > 0 ? low - 1 : low + 1
            let both = min(low, neighbour)..<(max(low, neighbour) + 1)
            let part: NodeList
            if list.entries[neighbour].height == list.entries[low].height {
                // Two nodes make a pivot, or a single node that stays low.
                let pair = NodeList(entries: ContiguousArray(list.entries[both]))
                part = try finishPivot(
                    pair, 0..<0, height: list.entries[low].height + 1, before: nil)
            } else {
                part = try attach(
                    list.entries[low], to: list.entries[neighbour], isBehind: neighbour < low)
            }
            list.replace(both, with: part)
        }
    }

    /// Attaches a node at the edge of a higher one, on the level where it belongs.
    ///
    /// Messages of the higher node stay right: what is not in the range of the low node keeps its
    /// child, and keys that change children are in neither of them.
    private mutating func attach(
        _ low: ChildEntry, to high: ChildEntry, isBehind: Bool
    ) throws(TreeError) -> NodeList {
        let block = try load(high, before: isBehind ? low.key : nil)
        let pivot = PivotView(unchecked: block.base)
        let mark = stack.count
        for index in 0..<pivot.messageCount { stack.push(pivot.message(index)) }
        let kept = mark..<stack.count
        var list = NodeList(owners: [block])
        for index in 0..<pivot.childCount {
            list.entries.append(ChildEntry(child: index, of: pivot, height: high.height - 1))
        }
        if high.height == low.height + 1 {
            list.entries.insert(low, at: isBehind ? list.entries.count : 0)
        } else {
            let edge = isBehind ? list.entries.count - 1 : 0
            let part = try attach(low, to: list.entries[edge], isBehind: isBehind)
            list.replace(edge..<(edge + 1), with: part)
        }
        let result = try finishPivot(list, kept, height: high.height, before: nil)
        retire(high)
        stack.pop(to: mark)
        return result
    }
}
