import GefsFormat

/// Records of a leaf that is being rebuilt, and the memory of those that no node holds.
struct LeafRecords {
    struct Record {
        let key: UnsafeRawBufferPointer
        let value: UnsafeRawBufferPointer

        var byteCount: Int {
            Geometry.tableEntryBytes + Geometry.recordOverheadBytes + key.count + value.count
        }
    }

    var records: [Record] = []
    var byteCount = 0
    /// Values that foreign messages made; kept until the leaf is written.
    var folded: [FoldedValue] = []

    mutating func append(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
        let record = Record(key: key, value: value)
        records.append(record)
        byteCount += record.byteCount
    }
}

/// Memory of a value that a foreign message made.
final class FoldedValue {
    let bytes: UnsafeMutableRawBufferPointer

    init(byteCount: Int) {
        bytes = .allocate(byteCount: byteCount, alignment: 8)
    }

    deinit {
        bytes.deallocate()
    }
}

extension TreeUpdate {
    func rewriteLeaf(
        _ node: BlockBuffer, _ messages: ArraySlice<MessageView>
    ) throws(TreeError) -> [Child] {
        let leaf = LeafView(unchecked: node.base)
        let records = foldOnto(leaf, messages)
        var isAppend = false
        if let first = messages.first {
            isAppend = compareKeys(first.key, leaf.key(leaf.count - 1)) > 0
        }
        return try withExtendedLifetime(node) { () throws(TreeError) -> [Child] in
            try writeLeaves(records, isAppend: isAppend)
        }
    }

    /// The records of a leaf after the messages; data pointers that go die here.
    func foldOnto(_ leaf: LeafView?, _ messages: ArraySlice<MessageView>) -> LeafRecords {
        var result = LeafRecords()
        let count = leaf?.count ?? 0
        result.records.reserveCapacity(count + messages.count)
        var index = 0
        var next = messages.startIndex
        while next < messages.endIndex {
            let key = messages[next].key
            var value: UnsafeRawBufferPointer?
            while index < count, let leaf {
                let order = compareKeys(leaf.key(index), key)
                if order > 0 { break }
                if order == 0 {
                    value = leaf.value(index)
                } else {
                    result.append(leaf.key(index), leaf.value(index))
                }
                index += 1
                if order == 0 { break }
            }
            var end = next + 1
            while end < messages.endIndex, compareKeys(messages[end].key, key) == 0 { end += 1 }
            if let folded = fold(value, messages[next..<end], &result) {
                result.append(key, folded)
            }
            next = end
        }
        while index < count, let leaf {
            result.append(leaf.key(index), leaf.value(index))
            index += 1
        }
        return result
    }

    /// Applies the messages of one key, oldest first.
    private func fold(
        _ value: UnsafeRawBufferPointer?, _ messages: ArraySlice<MessageView>,
        _ records: inout LeafRecords
    ) -> UnsafeRawBufferPointer? {
        var current = value
        for message in messages {
            switch message.kind {
            case .insert:
                replace(current, by: message.payload, message.key)
                current = message.payload
            case .delete, .clearb, .clobber:
                replace(current, by: nil, message.key)
                current = nil
            case .wstat, .relink, .reprev, .incref:
                current = change(current, message, &records)
            }
        }
        return current
    }

    private func change(
        _ current: UnsafeRawBufferPointer?, _ message: MessageView, _ records: inout LeafRecords
    ) -> UnsafeRawBufferPointer? {
        // A change of a missing value says nothing; the checker reports it.
        guard current != nil else { return nil }
        let scratch = FoldedValue(byteCount: Geometry.valueBytesMax)
        records.folded.append(scratch)
        do throws(FoldError) {
            return try MessageFold.apply(
                message.kind, payload: message.payload, to: current, scratch: scratch.bytes)
        } catch {
            return current
        }
    }

    private func replace(
        _ old: UnsafeRawBufferPointer?, by new: UnsafeRawBufferPointer?,
        _ key: UnsafeRawBufferPointer
    ) {
        guard let old, let pointer = dataPointer(key, old) else { return }
        if let new, let next = dataPointer(key, new), next == pointer { return }
        target.killData(pointer)
    }

    /// Writes records as leaves: one if they fit; full ones where keys are appended; else evenly
    /// filled ones that leave room.
    func writeLeaves(_ records: LeafRecords, isAppend: Bool) throws(TreeError) -> [Child] {
        guard !records.records.isEmpty else { return [] }
        let space = Geometry.leafSpaceBytes
        var goal = space
        if records.byteCount > space, !isAppend {
            let count = (records.byteCount + space * 3 / 4 - 1) / (space * 3 / 4)
            goal = records.byteCount / count + 1
        }
        var children: [Child] = []
        var index = 0
        while index < records.records.count {
            let buffer = target.newBuffer()
            var builder = LeafBuilder(block: buffer.base)
            while index < records.records.count, builder.fill < goal {
                let record = records.records[index]
                guard builder.fits(keyBytes: record.key.count, valueBytes: record.value.count)
                else { break }
                builder.append(key: record.key, value: record.value)
                index += 1
            }
            children.append(try finishLeaf(&builder, buffer))
        }
        return withExtendedLifetime(records.folded) { children }
    }
}
