import GefsFormat

/// One batch on its way down a tree: copy on write, each touched node rewritten once.
///
/// A pivot takes into its buffer what fits; else the heaviest segments go down to their children,
/// until the rest fills half of the buffer. Nodes are rebuilt bottom-up; a node may become many, or
/// none. Invariants of the result: FORMAT 6.2.
struct TreeUpdate<Target: FlushTarget> {
    /// A child of a pivot that is being rebuilt.
    struct Child {
        let key: UnsafeRawBufferPointer
        let pointer: BlockPointer
        let fill: Int
        /// Whether the update wrote it.
        let isFresh: Bool
        /// Keeps the memory of `key`.
        let owner: BlockBuffer
    }

    let target: Target

    /// Bytes of entries that a pivot takes, leaving the room that upstream wants for its own
    /// splits. Source: FORMAT 6.2, invariant 7.
    static var pivotFillMax: Int {
        Geometry.pivotSpaceBytes - Geometry.tableEntryBytes
            - 2 * (Geometry.recordOverheadBytes + Geometry.keyBytesMax + Geometry.pivotValueBytes + 2)
    }

    /// Fill that rebuilt neighbours may have together to become one.
    static var mergedFillMax: Int { Geometry.leafSpaceBytes * 3 / 4 }

    // MARK: Down

    /// Brings `messages` into the node; returns what takes its place.
    func rewrite(
        _ pointer: BlockPointer, height: Int, _ messages: ArraySlice<MessageView>
    ) throws(TreeError) -> [Child] {
        let node = try target.readNode(pointer)
        do throws(ReadError) {
            try Tree.checkKind(node, pointer, height: height)
        } catch {
            throw .read(error)
        }
        let children =
            height == 1
            ? try rewriteLeaf(node, messages)
            : try rewritePivot(node, height, messages)
        target.killNode(pointer)
        return children
    }

    private func rewritePivot(
        _ node: BlockBuffer, _ height: Int, _ incoming: ArraySlice<MessageView>
    ) throws(TreeError) -> [Child] {
        let pivot = PivotView(unchecked: node.base)
        let messages = mergeBuffers(pivot, incoming)
        var segments = self.segments(pivot, messages)
        chooseSegments(&segments)
        var children: [Child] = []
        children.reserveCapacity(pivot.childCount + 8)
        var kept: [MessageView] = []
        for index in 0..<pivot.childCount {
            let segment = segments[index]
            if segment.goesDown {
                children += try rewrite(
                    pivot.pointer(index), height: height - 1, messages[segment.range])
            } else {
                kept += messages[segment.range]
                children.append(
                    Child(
                        key: pivot.key(index), pointer: pivot.pointer(index),
                        fill: pivot.childFill(index), isFresh: false, owner: node))
            }
        }
        children = try mergeNeighbours(children, height: height - 1)
        if children.isEmpty { return try rebuildEmpty(kept, height: height) }
        return try withExtendedLifetime(node) { () throws(TreeError) -> [Child] in
            try writePivots(children, kept[...])
        }
    }

    /// The pivot's own messages and those that come in, by key. What comes in replaces everything
    /// older for its key; foreign messages of one key stay in their order.
    private func mergeBuffers(
        _ pivot: PivotView, _ incoming: ArraySlice<MessageView>
    ) -> [MessageView] {
        var merged: [MessageView] = []
        merged.reserveCapacity(pivot.messageCount + incoming.count)
        var index = 0
        for message in incoming {
            while index < pivot.messageCount {
                let order = compareKeys(pivot.messageKey(index), message.key)
                if order > 0 { break }
                if order < 0 {
                    merged.append(pivot.message(index))
                } else {
                    drop(pivot.message(index), for: message)
                }
                index += 1
            }
            merged.append(message)
        }
        while index < pivot.messageCount {
            merged.append(pivot.message(index))
            index += 1
        }
        return merged
    }

    /// An insert of a data pointer that is replaced inside a buffer dies here. Source: FORMAT 6.4.
    private func drop(_ old: MessageView, for new: MessageView) {
        guard old.kind == .insert, let pointer = dataPointer(old.key, old.payload) else { return }
        if new.kind == .insert, let next = dataPointer(new.key, new.payload), next == pointer {
            return
        }
        target.killData(pointer)
    }

    func dataPointer(
        _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer
    ) -> BlockPointer? {
        guard key.first == KeyKind.data.rawValue, value.count >= BlockPointer.byteCount,
            let base = value.baseAddress
        else { return nil }
        return BlockPointer(decoding: base)
    }

    private struct Segment {
        var range: Range<Int>
        var bytes: Int
        var goesDown = false
    }

    /// Which messages belong to which child. Those below the first key go to child 0.
    private func segments(_ pivot: PivotView, _ messages: [MessageView]) -> [Segment] {
        var segments: [Segment] = []
        segments.reserveCapacity(pivot.childCount)
        var next = 0
        for index in 0..<pivot.childCount {
            let start = next
            var bytes = 0
            let bound = index + 1 < pivot.childCount ? pivot.key(index + 1) : nil
            while next < messages.count {
                if let bound, compareKeys(messages[next].key, bound) >= 0 { break }
                bytes += Self.size(messages[next])
                next += 1
            }
            segments.append(Segment(range: start..<next, bytes: bytes))
        }
        return segments
    }

    /// Bytes that a message takes in a buffer, its table entry included.
    private static func size(_ message: MessageView) -> Int {
        Geometry.tableEntryBytes + Geometry.messageOverheadBytes + message.key.count
            + message.payload.count
    }

    private func chooseSegments(_ segments: inout [Segment]) {
        var total = segments.reduce(0) { $0 + $1.bytes }
        guard total > Geometry.pivotBufferBytes else { return }
        let heaviest = segments.indices.sorted { segments[$0].bytes > segments[$1].bytes }
        for index in heaviest {
            guard total > Geometry.pivotBufferBytes / 2, segments[index].bytes > 0 else { return }
            segments[index].goesDown = true
            total -= segments[index].bytes
        }
    }

    // MARK: Up

    /// Packs children and the messages that stay into pivots: one if they fit, else evenly filled
    /// ones. Children are not empty.
    func writePivots(
        _ children: [Child], _ messages: ArraySlice<MessageView>
    ) throws(TreeError) -> [Child] {
        let sizes = children.map {
            Geometry.tableEntryBytes + Geometry.recordOverheadBytes + $0.key.count
                + Geometry.pivotValueBytes
        }
        let total = sizes.reduce(0, +)
        let count = (total + Self.pivotFillMax - 1) / Self.pivotFillMax
        // A little above the average, so that rounding does not make one more.
        let goal = count == 1 ? total : total / count + Geometry.keyBytesMax
        var result: [Child] = []
        var rest = messages
        var start = 0
        while start < children.count {
            var end = start
            var fill = 0
            while end < children.count, fill + sizes[end] <= Self.pivotFillMax, fill < goal {
                fill += sizes[end]
                end += 1
            }
            // No pivot with a single child behind it.
            if end == children.count - 1, end - start > 2 { end -= 1 }
            var taken = rest
            if end < children.count {
                let bound = children[end].key
                taken = rest.prefix { compareKeys($0.key, bound) < 0 }
            }
            rest = rest[taken.endIndex...]
            result.append(try writePivot(children[start..<end], taken))
            start = end
        }
        return result
    }

    private func writePivot(
        _ children: ArraySlice<Child>, _ messages: ArraySlice<MessageView>
    ) throws(TreeError) -> Child {
        let buffer = target.newBuffer()
        var builder = PivotBuilder(block: buffer.base)
        for child in children {
            builder.appendChild(key: child.key, pointer: child.pointer, fill: child.fill)
        }
        for message in messages { builder.appendMessage(message) }
        let fill = builder.finish()
        let pointer = try target.writeNode(buffer)
        let view = PivotView(unchecked: buffer.base)
        var key = view.key(0)
        // Messages may lie below the first child's key: the entry above must not be higher.
        if view.messageCount > 0, compareKeys(view.messageKey(0), key) < 0 {
            key = view.messageKey(0)
        }
        return Child(key: key, pointer: pointer, fill: fill, isFresh: true, owner: buffer)
    }

    /// All children are gone, but messages stayed: their inserts become a subtree of the height.
    private func rebuildEmpty(
        _ messages: [MessageView], height: Int
    ) throws(TreeError) -> [Child] {
        var children = try writeLeaves(foldOnto(nil, messages[...]), isAppend: false)
        var level = 1
        while level < height, !children.isEmpty {
            children = try writePivots(children, [])
            level += 1
        }
        return children
    }

    /// Joins rebuilt children with neighbours where both are small.
    private func mergeNeighbours(
        _ children: [Child], height: Int
    ) throws(TreeError) -> [Child] {
        guard children.count > 1 else { return children }
        var result: [Child] = []
        result.reserveCapacity(children.count)
        for child in children {
            if let left = result.last, left.isFresh || child.isFresh,
                left.fill + child.fill <= Self.mergedFillMax,
                let joined = try join(left, child, height: height)
            {
                result[result.count - 1] = joined
            } else {
                result.append(child)
            }
        }
        return result
    }

    private func join(
        _ left: Child, _ right: Child, height: Int
    ) throws(TreeError) -> Child? {
        let leftNode = try target.readNode(left.pointer)
        let rightNode = try target.readNode(right.pointer)
        do throws(ReadError) {
            try Tree.checkKind(leftNode, left.pointer, height: height)
            try Tree.checkKind(rightNode, right.pointer, height: height)
        } catch {
            throw .read(error)
        }
        let joined =
            height == 1
            ? try joinLeaves(leftNode, rightNode) : try joinPivots(leftNode, rightNode)
        guard let joined else { return nil }
        target.killNode(left.pointer)
        target.killNode(right.pointer)
        return joined
    }

    private func joinLeaves(
        _ left: BlockBuffer, _ right: BlockBuffer
    ) throws(TreeError) -> Child? {
        let buffer = target.newBuffer()
        var builder = LeafBuilder(block: buffer.base)
        for node in [left, right] {
            let leaf = LeafView(unchecked: node.base)
            for index in 0..<leaf.count {
                builder.append(key: leaf.key(index), value: leaf.value(index))
            }
        }
        return try finishLeaf(&builder, buffer)
    }

    private func joinPivots(
        _ left: BlockBuffer, _ right: BlockBuffer
    ) throws(TreeError) -> Child? {
        let views = [PivotView(unchecked: left.base), PivotView(unchecked: right.base)]
        let entryFill = views.reduce(0) {
            $0 + $1.childBytes + Geometry.tableEntryBytes * $1.childCount
        }
        let bufferFill = views.reduce(0) {
            $0 + $1.messageBytes + Geometry.tableEntryBytes * $1.messageCount
        }
        guard entryFill <= Self.pivotFillMax, bufferFill <= Geometry.pivotBufferBytes else {
            return nil
        }
        var children: [Child] = []
        var messages: [MessageView] = []
        for (view, node) in zip(views, [left, right]) {
            for index in 0..<view.childCount {
                children.append(
                    Child(
                        key: view.key(index), pointer: view.pointer(index),
                        fill: view.childFill(index), isFresh: false, owner: node))
            }
            for index in 0..<view.messageCount { messages.append(view.message(index)) }
        }
        return try writePivot(children[...], messages[...])
    }

    func finishLeaf(
        _ builder: inout LeafBuilder, _ buffer: BlockBuffer
    ) throws(TreeError) -> Child {
        let fill = builder.finish()
        let pointer = try target.writeNode(buffer)
        return Child(
            key: LeafView(unchecked: buffer.base).key(0), pointer: pointer, fill: fill,
            isFresh: true, owner: buffer)
    }
}
