import GefsFormat

/// Messages of one pivot that belong to one of its descendants.
struct MessageRun {
    let page: NodePage
    let range: Range<Int>
}

/// A node as part of one tree: with the messages on the way to it.
///
/// Two parts with the same node and the same messages hold the same records, in whatever trees
/// they are.
struct TreePart {
    let node: NodeNumber
    /// Messages of the pivots above that belong here, the deepest pivot first.
    var runs: [MessageRun] = []
    /// A hash of these messages; 0 if there are none.
    var digest: UInt64 = 0

    /// A part with these messages.
    init(_ node: NodeNumber, runs: [MessageRun] = []) {
        self.node = node
        self.runs = runs
        for run in runs {
            for index in run.range {
                let message = run.page.node.message(index)
                digest = (digest ^ MetroHash64.hash(message)) &* 0x9e37_79b9_7f4a_7c15 | 1
            }
        }
    }

    /// The parts below, one for each child; those that cannot be followed are left out.
    ///
    /// - Parameters:
    ///   - page: this node, a pivot.
    ///   - range: keys that matter; children without any are left out.
    func children(
        _ page: NodePage, _ graph: NodeGraph, within range: KeyRange?
    ) -> [TreePart] {
        let node = page.node
        guard !node.isLeaf, node.count == graph[self.node].childCount else { return [] }
        let sources =
            (node.messageCount > 0 ? [MessageRun(page: page, range: 0..<node.messageCount)] : [])
            + runs
        var positions = sources.map(\.range.lowerBound)
        var parts: [TreePart] = []
        parts.reserveCapacity(node.count)
        for index in 0..<node.count {
            let isLast = index + 1 == node.count
            var childRuns: [MessageRun] = []
            for (place, source) in sources.enumerated() {
                let start = positions[place]
                var end = start
                if isLast {
                    end = source.range.upperBound
                } else {
                    let next = node.key(index + 1)
                    while end < source.range.upperBound,
                        compareKeys(source.page.node.messageKey(end), next) < 0
                    {
                        end += 1
                    }
                }
                positions[place] = end
                if end > start {
                    childRuns.append(MessageRun(page: source.page, range: start..<end))
                }
            }
            if let range {
                let low = index == 0 ? nil : node.key(index)
                let high = isLast ? nil : node.key(index + 1)
                guard range.overlaps(low: low, high: high) else { continue }
            }
            let child = graph.child(index, of: self.node)
            guard child != NodeGraph.none else { continue }
            parts.append(TreePart(child, runs: childRuns))
        }
        return parts
    }
}

/// Keys from `low` up to, and without, `high`.
struct KeyRange {
    let low: Key
    let high: Key

    /// Whether a range of keys, open where `nil`, has any in common with this one.
    func overlaps(low: UnsafeRawBufferPointer?, high: UnsafeRawBufferPointer?) -> Bool {
        if let low, self.high.withBytes({ compareKeys(low, $0) >= 0 }) { return false }
        if let high, self.low.withBytes({ compareKeys(high, $0) <= 0 }) { return false }
        return true
    }

    func contains(_ key: UnsafeRawBufferPointer) -> Bool {
        low.withBytes { compareKeys(key, $0) >= 0 } && high.withBytes { compareKeys(key, $0) < 0 }
    }
}

/// A leaf and the messages on the way to it: the records of a range of keys.
struct LeafPart {
    let page: NodePage
    let runs: [MessageRun]

    private struct Message {
        let key: UnsafeRawBufferPointer
        let run: Int
        let index: Int
    }

    /// Calls `body` with each record in key order, messages applied.
    ///
    /// The bytes are valid during the call only. Messages that cannot be applied are passed to
    /// `failure` and have no effect.
    func forEachRecord(
        _ body: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Void,
        failure: (_ key: UnsafeRawBufferPointer, FoldError) -> Void
    ) {
        let node = page.node
        guard !runs.isEmpty else {
            for index in 0..<node.count {
                let key = node.key(index)
                body(key, node.value(behind: key))
            }
            return
        }
        let messages = sortedMessages()
        withUnsafeTemporaryAllocation(byteCount: Geometry.valueBytesMax, alignment: 8) { scratch in
            var index = 0
            var next = 0
            while index < node.count || next < messages.count {
                var key: UnsafeRawBufferPointer
                var value: UnsafeRawBufferPointer?
                if next == messages.count {
                    key = node.key(index)
                    value = node.value(behind: key)
                    index += 1
                } else {
                    key = messages[next].key
                    if index < node.count, compareKeys(node.key(index), key) <= 0 {
                        key = node.key(index)
                        value = node.value(behind: key)
                        index += 1
                    }
                    while next < messages.count, compareKeys(messages[next].key, key) == 0 {
                        apply(messages[next], to: &value, scratch, failure)
                        next += 1
                    }
                }
                if let value { body(key, value) }
            }
        }
    }

    /// The messages by key, and for one key oldest first: what is deeper is older.
    private func sortedMessages() -> [Message] {
        var messages: [Message] = []
        for (place, run) in runs.enumerated() {
            for index in run.range {
                messages.append(
                    Message(key: run.page.node.messageKey(index), run: place, index: index))
            }
        }
        messages.sort { left, right in
            let order = compareKeys(left.key, right.key)
            return order == 0 ? (left.run, left.index) < (right.run, right.index) : order < 0
        }
        return messages
    }

    private func apply(
        _ message: Message, to value: inout UnsafeRawBufferPointer?,
        _ scratch: UnsafeMutableRawBufferPointer,
        _ failure: (_ key: UnsafeRawBufferPointer, FoldError) -> Void
    ) {
        let node = runs[message.run].page.node
        do throws(FoldError) {
            let kind = try MessageKind(checking: node.messageKind(message.index))
            value = try MessageFold.apply(
                kind, payload: node.value(behind: message.key), to: value, scratch: scratch)
        } catch {
            failure(message.key, error)
        }
    }
}
