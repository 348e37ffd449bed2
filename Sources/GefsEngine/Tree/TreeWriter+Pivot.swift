import GefsFormat

/// The messages of a run that belong to one child.
private struct Segment {
    let child: Int
    let messages: Range<Int>
    let byteCount: Int
    /// Whether some of them give file data back.
    let freesData: Bool
}

extension TreeWriter {
    mutating func rewritePivot(
        _ node: ChildEntry, _ block: BlockBuffer, before end: UnsafeRawBufferPointer?,
        _ messages: Range<Int>
    ) throws(TreeError) -> NodeList {
        let pivot = PivotView(unchecked: block.base)
        let mark = stack.count
        let merged = mergeBuffer(pivot, messages)
        let result: NodeList
        let bytesMax = keptBytes == 0 ? 0 : Geometry.pivotBufferBytes
        if pivot.childCount > 1, stack.bufferBytes(merged) <= bytesMax, !freesData(merged) {
            let copy = copyPivot(pivot, merged, height: node.height)
            result = NodeList(entries: [copy])
        } else {
            result = try push(merged, into: pivot, node, block, before: end)
        }
        retire(node)
        stack.pop(to: mark)
        withExtendedLifetime(block) {}
        return result
    }

    // MARK: Merging

    /// Puts the pivot's messages and a run of newer ones onto the stack, in key order and for one
    /// key oldest first. Messages that a newer one supersedes are left out.
    private mutating func mergeBuffer(_ pivot: PivotView, _ newer: Range<Int>) -> Range<Int> {
        let start = stack.count
        let olderCount = pivot.messageCount
        var older = 0
        var next = newer.lowerBound
        while next < newer.upperBound {
            let end = stack.endOfKey(next..<newer.upperBound)
            let key = stack[next].key
            while older < olderCount {
                let message = pivot.message(older)
                let order = compareKeys(message.key, key)
                if order > 0 { break }
                if order == 0 {
                    older = pushCombined(pivot, older, with: next..<end)
                    next = end
                    break
                }
                stack.push(message)
                older += 1
            }
            while next < end {
                stack.push(stack[next])
                next += 1
            }
        }
        while older < olderCount {
            stack.push(pivot.message(older))
            older += 1
        }
        return start..<stack.count
    }

    /// Pushes the messages of the pivot from `first` on that have one key, and the newer ones for
    /// it, unless superseded. Returns the index of the pivot's first message with another key.
    private mutating func pushCombined(
        _ pivot: PivotView, _ first: Int, with newer: Range<Int>
    ) -> Int {
        let key = stack[newer.lowerBound].key
        let start = stack.count
        var older = first
        while older < pivot.messageCount {
            let message = pivot.message(older)
            guard compareKeys(message.key, key) == 0 else { break }
            stack.push(message)
            older += 1
        }
        var kept = start
        for index in newer {
            let message = stack[index]
            if message.supersedes {
                kept = stack.count
            } else if message.kind == .delete, stack[stack.count - 1].kind.isRemoval {
                // It is gone already; a delete must find its key.
                continue
            }
            stack.push(message)
        }
        if kept > start {
            if key[0] == KeyKind.data.rawValue { killSuperseded(start..<kept, by: stack[kept]) }
            stack.remove(start..<kept)
        }
        return older
    }

    /// Reports the pointers to file data in inserts that are left out.
    private func killSuperseded(_ messages: Range<Int>, by newer: MessageView) {
        let kept = newer.kind == .insert ? DataPointer.decode(newer.payload) : nil
        var last: BlockPointer?
        for index in messages where stack[index].kind == .insert {
            guard let pointer = DataPointer.decode(stack[index].payload) else { continue }
            if pointer != kept && pointer != last { target.killData(pointer) }
            last = pointer
        }
    }

    // MARK: Pushing down

    /// Whether a run holds removals of file data. They go down to the leaves at once, since the data
    /// is in use until its pointer is gone: space that is given back is free after the next commit.
    private func freesData(_ messages: Range<Int>) -> Bool {
        messages.contains { stack[$0].freesData }
    }

    /// Hands messages to the children they belong to: those that give data back with all that
    /// goes the same way, and where the rest does not fit the buffer, the largest shares until it
    /// takes half a buffer at most, or nothing where no message may stay.
    private mutating func push(
        _ messages: Range<Int>, into pivot: PivotView, _ node: ChildEntry, _ block: BlockBuffer,
        before end: UnsafeRawBufferPointer?
    ) throws(TreeError) -> NodeList {
        let segments = segments(of: messages, in: pivot)
        let isPushed = chooseHeaviest(segments)
        let keptStart = stack.count
        for (segment, isPushed) in zip(segments, isPushed) where !isPushed {
            for index in segment.messages { stack.push(stack[index]) }
        }
        let kept = keptStart..<stack.count

        let childCount = pivot.childCount
        var list = NodeList(owners: [block])
        list.entries.reserveCapacity(childCount + 8)
        var next = 0
        var hasGrownInside = false
        for index in 0..<childCount {
            let child = ChildEntry(child: index, of: pivot, height: node.height - 1)
            guard next < segments.count, segments[next].child == index else {
                list.entries.append(child)
                continue
            }
            defer { next += 1 }
            guard isPushed[next] else {
                list.entries.append(child)
                continue
            }
            let childEnd = index + 1 < childCount ? pivot.key(index + 1) : end
            let part = try rewrite(child, before: childEnd, segments[next].messages)
            list.append(part)
            if index + 1 == childCount {
                list.isAppended = part.isAppended && !hasGrownInside
            } else if part.entries.count > 1 {
                hasGrownInside = true
            }
        }
        return try finishPivot(list, kept, height: node.height, before: end)
    }

    /// Divides a run of messages among the children.
    private func segments(
        of messages: Range<Int>, in pivot: PivotView
    ) -> ContiguousArray<Segment> {
        var segments: ContiguousArray<Segment> = []
        let childCount = pivot.childCount
        var start = messages.lowerBound
        while start < messages.upperBound {
            let child = pivot.childIndex(for: stack[start].key)
            let limit = child + 1 < childCount ? pivot.key(child + 1) : nil
            var byteCount = stack[start].bufferBytes
            var end = start + 1
            while end < messages.upperBound {
                if let limit, compareKeys(stack[end].key, limit) >= 0 { break }
                byteCount &+= stack[end].bufferBytes
                end &+= 1
            }
            segments.append(
                Segment(
                    child: child, messages: start..<end, byteCount: byteCount,
                    freesData: freesData(start..<end)))
            start = end
        }
        return segments
    }

    private func chooseHeaviest(
        _ segments: ContiguousArray<Segment>
    ) -> ContiguousArray<Bool> {
        var isPushed = ContiguousArray(segments.map(\.freesData))
        var left = segments.reduce(0) { $0 + ($1.freesData ? 0 : $1.byteCount) }
        if keptBytes > 0, left <= Geometry.pivotBufferBytes { return isPushed }
        let byWeight = segments.indices.sorted {
            segments[$0].byteCount > segments[$1].byteCount
        }
        for index in byWeight where !isPushed[index] {
            if left <= keptBytes { break }
            isPushed[index] = true
            left -= segments[index].byteCount
        }
        return isPushed
    }

    /// Makes a pivot's children and messages into what takes its place: brings children up to
    /// their height, joins small ones, and never leaves a pivot with one child.
    mutating func finishPivot(
        _ children: NodeList, _ messages: Range<Int>, height: Int,
        before end: UnsafeRawBufferPointer?
    ) throws(TreeError) -> NodeList {
        var list = children
        var kept = messages
        while true {
            try liftLowNodes(&list, to: height - 1)
            try joinSmallNodes(&list)
            guard list.entries.count == 1, !kept.isEmpty else { break }
            // The only child will take the pivot's place, so the messages have to go there.
            let part = try rewrite(list.entries[0], before: end, kept)
            list.replace(0..<1, with: part)
            kept = 0..<0
        }
        if list.entries.count > 1 {
            list.entries = try buildPivots(
                list.entries, messages: kept, height: height, isPacked: list.isAppended)
            list.isAppended = list.isAppended && list.entries.count > 1
            list.owners.removeAll()
        }
        return list
    }
}

extension MessageView {
    /// Whether it takes a pointer to file data away.
    fileprivate var freesData: Bool {
        kind.isRemoval && key.first == KeyKind.data.rawValue
    }
}
