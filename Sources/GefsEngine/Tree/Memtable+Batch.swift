import GefsFormat

extension Memtable {
    /// A block of file data that got its place on the device.
    typealias PlacedBlock = (qid: UInt64, index: UInt64, pointer: BlockPointer)

    /// The messages that bring what lies below up to the state of this memtable.
    ///
    /// Keys that were absent below and are so again need none.
    func makeBatch() -> MessageBatch {
        makeBatch(addingData: EmptyCollection<PlacedBlock>())
    }

    /// The messages of this memtable and an insert for each block of data.
    ///
    /// - Parameter blocks: by file and index in ascending order. A block counts more than what the
    ///   memtable holds for its key.
    func makeBatch(addingData blocks: some Sequence<PlacedBlock>) -> MessageBatch {
        let batch = MessageBatch(countHint: count)
        var blocks = blocks.makeIterator()
        var writer = DataMessageWriter(block: blocks.next())
        forEachRecord { record in
            while let order = writer.order(record.key), order <= 0 {
                writer.append(to: batch)
                writer.block = blocks.next()
                if order == 0 { return }
            }
            Self.append(record, to: batch)
        }
        while writer.block != nil {
            writer.append(to: batch)
            writer.block = blocks.next()
        }
        return batch
    }

    private static func append(_ record: MemtableRecord, to batch: MessageBatch) {
        let key = record.key
        if !record.isRemoved {
            batch.append(kind: .insert, key: key, payload: record.value)
        } else if record.isPresentBelow {
            let empty = UnsafeRawBufferPointer(start: nil, count: 0)
            batch.append(kind: removal(of: key), key: key, payload: empty)
        }
    }

    /// The message that removes a key. Source: FORMAT 6.4.
    private static func removal(of key: UnsafeRawBufferPointer) -> MessageKind {
        switch KeyKind(rawValue: key[0]) {
        case .data: .clearb
        case .entry, .up, .inode, .link, .attribute: .clobber
        case .label, .snapshot, .deadlist, .config, nil: .delete
        }
    }
}

/// The present one of the blocks that join a batch, with its key.
private struct DataMessageWriter {
    private var key: InlineArray<24, UInt8> = InlineArray(repeating: 0)
    var block: Memtable.PlacedBlock? {
        didSet { encodeKey() }
    }

    init(block: Memtable.PlacedBlock?) {
        self.block = block
        encodeKey()
    }

    private mutating func encodeKey() {
        guard let block else { return }
        withUnsafeMutableBytes(of: &key) { bytes in
            guard let base = bytes.baseAddress else { return }
            _ = KeyEncoding.data(
                block.qid, offset: block.index &* UInt64(Geometry.blockBytes), into: base)
        }
    }

    private func withKey<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        withUnsafeBytes(of: key) {
            body(UnsafeRawBufferPointer(rebasing: $0[..<KeyEncoding.twoNumberBytes]))
        }
    }

    /// How the block's key sorts against another; nil when there is no block.
    func order(_ other: UnsafeRawBufferPointer) -> Int? {
        guard block != nil else { return nil }
        return withKey { compareKeys($0, other) }
    }

    func append(to batch: MessageBatch) {
        guard let block else { return }
        withUnsafeTemporaryAllocation(byteCount: BlockPointer.byteCount, alignment: 8) { value in
            guard let base = value.baseAddress else { return }
            block.pointer.encode(into: base)
            withKey {
                batch.append(kind: .insert, key: $0, payload: UnsafeRawBufferPointer(value))
            }
        }
    }
}
