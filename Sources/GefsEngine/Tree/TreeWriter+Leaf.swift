import GefsFormat

/// Where keys were added to a leaf, in indices of the records it will have.
private struct AddedKeys {
    private(set) var first = 0
    private(set) var last = 0
    private(set) var count = 0

    mutating func add(_ index: Int) {
        if count == 0 { first = index }
        last = index
        count += 1
    }

    /// Whether they lie side by side.
    var isRun: Bool { count > 0 && last - first + 1 == count }
}

extension TreeWriter {
    mutating func rewriteLeaf(
        _ node: ChildEntry, _ block: BlockBuffer, _ messages: Range<Int>
    ) throws(TreeError) -> NodeList {
        let leaf = LeafView(unchecked: block.base)
        let count = leaf.count
        var added = AddedKeys()
        var isChanged = false
        var position = 0
        var next = messages.lowerBound
        records.removeAll(keepingCapacity: true)
        while next < messages.upperBound {
            let end = stack.endOfKey(next..<messages.upperBound)
            let key = stack[next].key
            let place = leaf.search(key, from: position)
            copyRecords(leaf, position..<place.index)
            position = place.index
            var old: UnsafeRawBufferPointer?
            if place.found {
                old = leaf.value(position)
                position += 1
            }
            if let value = merge(next..<end, into: old) {
                if old == nil { added.add(records.count) }
                records.append(LeafRecord(key: key, value: value))
                isChanged = true
            } else if old != nil {
                isChanged = true
            }
            next = end
        }
        guard isChanged || target.isReplaced(node.pointer) else {
            return NodeList(entries: [node])
        }
        copyRecords(leaf, position..<count)
        retire(node)
        return withExtendedLifetime(block) { buildLeaves(added) }
    }

    private mutating func copyRecords(_ leaf: LeafView, _ range: Range<Int>) {
        for index in range {
            records.append(LeafRecord(key: leaf.key(index), value: leaf.value(index)))
        }
    }

    // MARK: One key

    /// The value of a key after the messages for it, nil if it is absent then.
    private mutating func merge(
        _ messages: Range<Int>, into old: UnsafeRawBufferPointer?
    ) -> UnsafeRawBufferPointer? {
        let first = stack[messages.lowerBound]
        var value: UnsafeRawBufferPointer?
        if messages.count == 1 && first.isDecisive {
            value = first.kind == .insert ? first.payload : nil
        } else {
            value = fold(messages, old)
        }
        if first.key[0] == KeyKind.data.rawValue { killReplaced(messages, old, by: value) }
        return value
    }

    @inline(never)
    private mutating func fold(
        _ messages: Range<Int>, _ old: UnsafeRawBufferPointer?
    ) -> UnsafeRawBufferPointer? {
        let space = UnsafeMutableRawBufferPointer(
            start: folded.allocate(Geometry.valueBytesMax), count: Geometry.valueBytesMax)
        var value = old
        for index in messages {
            value = ReaderFold.apply(stack[index], to: value, scratch: space)
        }
        return value
    }

    /// Reports the pointers to file data that were in the leaf or on their way to it, and are not
    /// in the leaf now.
    private func killReplaced(
        _ messages: Range<Int>, _ old: UnsafeRawBufferPointer?, by value: UnsafeRawBufferPointer?
    ) {
        let kept = value.flatMap { DataPointer.decode($0) }
        var last = old.flatMap { DataPointer.decode($0) }
        if let last, last != kept { target.killData(last) }
        for index in messages where stack[index].kind == .insert {
            guard let pointer = DataPointer.decode(stack[index].payload) else { continue }
            if pointer != kept && pointer != last { target.killData(pointer) }
            last = pointer
        }
    }

    // MARK: New leaves

    /// Puts the records into as many leaves as it takes, in order.
    private mutating func buildLeaves(_ added: AddedKeys) -> NodeList {
        var list = NodeList()
        var byteCount = 0
        var largest = 0
        for record in records {
            let size = Self.leafBytes(record)
            byteCount &+= size
            largest = max(largest, size)
        }
        let count = records.count
        guard byteCount > Geometry.leafSpaceBytes else {
            if count > 0 { list.entries.append(buildLeaf(0..<count)) }
            return list
        }
        if added.isRun && added.last == count - 1 {
            // Keys arrive in ascending order: what comes next goes into the last leaf only.
            packLeaves(0..<count, into: &list)
            list.isAppended = true
        } else if added.isRun && added.count >= NodeLimits.sequenceCount {
            // A sequence in the middle: let what follows it find the end of a leaf.
            packLeaves(0..<(added.last + 1), into: &list)
            packLeaves((added.last + 1)..<count, into: &list)
        } else {
            spreadLeaves(byteCount, largest, into: &list)
        }
        return list
    }

    /// Fills leaf after leaf to the brim.
    private func packLeaves(_ range: Range<Int>, into list: inout NodeList) {
        var start = range.lowerBound
        while start < range.upperBound {
            var end = start
            var byteCount = 0
            while end < range.upperBound {
                byteCount += Self.leafBytes(records[end])
                if byteCount > Geometry.leafSpaceBytes { break }
                end += 1
            }
            list.entries.append(buildLeaf(start..<end))
            start = end
        }
    }

    /// Makes leaves of about the same size.
    private func spreadLeaves(_ byteCount: Int, _ largest: Int, into list: inout NodeList) {
        let leafCount = Self.dividedUp(byteCount, by: Geometry.leafSpaceBytes - largest)
        var start = 0
        var end = 0
        var passed = 0
        for leaf in 1...leafCount where start < records.count {
            let target = byteCount * leaf / leafCount
            while end < records.count, passed < target {
                passed += Self.leafBytes(records[end])
                end += 1
            }
            if leaf == leafCount { end = records.count }
            guard end > start else { continue }
            list.entries.append(buildLeaf(start..<end))
            start = end
        }
    }

    private func buildLeaf(_ range: Range<Int>) -> ChildEntry {
        let buffer = target.newBuffer()
        var builder = LeafBuilder(block: buffer.base)
        for index in range {
            builder.append(key: records[index].key, value: records[index].value)
        }
        return ChildEntry(newLeaf: buffer, fill: builder.finish())
    }

    @inline(__always)
    private static func leafBytes(_ record: LeafRecord) -> Int {
        Geometry.tableEntryBytes &+ Geometry.recordOverheadBytes &+ record.key.count
            &+ record.value.count
    }

    static func dividedUp(_ dividend: Int, by divisor: Int) -> Int {
        (dividend + divisor - 1) / divisor
    }
}

/// Values of data keys.
enum DataPointer {
    /// The pointer; nil if the value has another size, which no verified node and no batch of ours
    /// contains.
    @inline(__always)
    static func decode(_ value: UnsafeRawBufferPointer) -> BlockPointer? {
        guard value.count == BlockPointer.byteCount, let base = value.baseAddress else {
            return nil
        }
        return BlockPointer(decoding: base)
    }
}

extension LeafView {
    /// The place of `key` at `start` or behind, like `search`. Quick if it is near `start`.
    @inline(__always)
    func search(
        _ key: UnsafeRawBufferPointer, from start: Int
    ) -> (index: Int, found: Bool) {
        let count = count
        var low = start
        var high = start
        var step = 1
        // The place is within low...high, and all before `low` sort before the key.
        while high < count {
            let order = compareKeys(self.key(high), key)
            if order == 0 { return (high, true) }
            if order > 0 { break }
            low = high &+ 1
            high = min(high &+ step, count)
            step &*= 2
        }
        while low < high {
            let middle = (low &+ high) &>> 1
            let order = compareKeys(self.key(middle), key)
            if order == 0 { return (middle, true) }
            if order < 0 { low = middle &+ 1 } else { high = middle }
        }
        return (low, false)
    }
}
