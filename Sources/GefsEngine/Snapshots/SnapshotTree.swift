import GefsFormat

/// The tree of labels, snapshot records, deadlists and configuration.
///
/// Changes gather in a memtable and reach the disk once a commit. Only the flush thread changes
/// it; anyone may read. Source: FORMAT 7.3, 8.
final class SnapshotTree: @unchecked Sendable {
    private let reader: BlockReader
    private let queue: ReclaimQueue
    let deadlistCounts = DeadlistCounts()
    private let lock = Lock()
    /// lock.
    private(set) var version: TreeVersion
    /// lock.
    private var memtable = Memtable()

    init(root: TreeRoot, reader: BlockReader, queue: ReclaimQueue) {
        self.reader = reader
        self.queue = queue
        version = TreeVersion(root: root, queue: queue)
    }

    // MARK: Reading

    func value(_ key: Key) throws(FileError) -> [UInt8]? {
        let view: (TreeVersion, found: Memtable.Found, copy: [UInt8]) = lock.locked {
            let found = key.withBytes { memtable.lookup($0) }
            if case .value(let bytes) = found { return (version, found, Array(bytes)) }
            return (version, found, [])
        }
        switch view.found {
        case .value: return view.copy
        case .removed: return nil
        case .absent: break
        }
        do throws(ReadError) {
            return try key.withBytes { (bytes) throws(ReadError) -> [UInt8]? in
                try Tree.lookup(bytes, in: view.0.root, source: reader, mayBlock: true)
            }
        } catch {
            throw FileError(error)
        }
    }

    /// All pairs whose keys begin with `prefix`, in order.
    func pairs(_ prefix: [UInt8]) throws(FileError) -> [(key: [UInt8], value: [UInt8])] {
        var changed: [(key: [UInt8], value: [UInt8]?)] = []
        let version = lock.locked { () -> TreeVersion in
            var cursor = prefix.withUnsafeBytes { memtable.seek($0) }
            while let item = memtable.next(&cursor), item.key.starts(with: prefix) {
                if case .value(let bytes) = item.state {
                    changed.append((Array(item.key), Array(bytes)))
                } else {
                    changed.append((Array(item.key), nil))
                }
            }
            return self.version
        }
        var result: [(key: [UInt8], value: [UInt8])] = []
        var next = 0
        func takeChanges(before key: [UInt8]?) {
            while next < changed.count,
                key.map({ Key(bytes: changed[next].key) < Key(bytes: $0) }) ?? true
            {
                if let value = changed[next].value { result.append((changed[next].key, value)) }
                next += 1
            }
        }
        do throws(ReadError) {
            var scan = prefix.withUnsafeBytes {
                Tree.Scan(root: version.root, source: reader, prefix: $0, mayBlock: true)
            }
            while let item = try scan.next(), item.key.starts(with: prefix) {
                let key = Array(item.key)
                takeChanges(before: key)
                if next < changed.count, changed[next].key == key { continue }
                result.append((key, Array(item.value)))
            }
        } catch {
            throw FileError(error)
        }
        takeChanges(before: nil)
        return result
    }

    func label(_ name: [UInt8]) throws(FileError) -> LabelRecord? {
        guard name.count <= Geometry.labelBytesMax,
            let bytes = try value(Key.label(name))
        else { return nil }
        return try decode(bytes) { (raw) throws(RecordError) in try LabelRecord(decoding: raw) }
    }

    func labels() throws(FileError) -> [(name: [UInt8], record: LabelRecord)] {
        var all: [(name: [UInt8], record: LabelRecord)] = []
        for pair in try pairs([KeyKind.label.rawValue]) {
            let record = try decode(pair.value) { (raw) throws(RecordError) in
                try LabelRecord(decoding: raw)
            }
            all.append((Array(pair.key.dropFirst()), record))
        }
        return all
    }

    func record(_ generation: Generation) throws(FileError) -> SnapshotRecord? {
        guard let bytes = try value(Key.snapshot(generation)) else { return nil }
        return try decode(bytes) { (raw) throws(RecordError) in
            try SnapshotRecord(decoding: raw)
        }
    }

    func records() throws(FileError) -> [SnapshotRecord] {
        var all: [SnapshotRecord] = []
        for pair in try pairs([KeyKind.snapshot.rawValue]) {
            all.append(
                try decode(pair.value) { (raw) throws(RecordError) in
                    try SnapshotRecord(decoding: raw)
                })
        }
        return all
    }

    func decode<Value>(
        _ bytes: [UInt8], _ body: (UnsafeRawBufferPointer) throws(RecordError) -> Value
    ) throws(FileError) -> Value {
        do throws(RecordError) {
            return try bytes.withBytes(body)
        } catch {
            throw .badRecord(error, root: version.root.pointer.address)
        }
    }

    // MARK: Changing, on the flush thread

    /// Sets a value; whether the key is there already decides how the change is written.
    func put(_ key: Key, _ value: [UInt8]) throws(FileError) {
        let old = try self.value(key)
        guard old != value else { return }
        deadlistCounts.forget(key)
        store(key, value, isPresent: old != nil)
    }

    /// Sets the value of a key that has none.
    func putNew(_ key: Key, _ value: [UInt8]) {
        store(key, value, isPresent: false)
    }

    private func store(_ key: Key, _ value: [UInt8], isPresent: Bool) {
        lock.locked {
            key.withBytes { keyBytes in
                value.withUnsafeBytes { memtable.put(keyBytes, $0, presentBelow: isPresent) }
            }
        }
    }

    func put(_ record: SnapshotRecord) throws(FileError) {
        try put(Key.snapshot(record.generation), record.encoded())
    }

    func remove(_ key: Key) throws(FileError) {
        guard try value(key) != nil else { return }
        removePresent(key)
    }

    /// Removes a key that has a value.
    func removePresent(_ key: Key) {
        deadlistCounts.forget(key)
        lock.locked { key.withBytes { memtable.remove($0, presentBelow: true) } }
    }

    /// The changes since the last flush, in key order.
    func batch() -> MessageBatch {
        lock.locked { memtable.makeBatch() }
    }

    /// The changes have reached `root`; what the old root held alone is retired.
    func publish(_ root: TreeRoot, retiring blocks: [RetiredBlock]) {
        let next = TreeVersion(root: root, queue: queue)
        let old = lock.locked { () -> TreeVersion in
            let old = version
            old.bag.close(blocks, next: next.bag)
            version = next
            memtable = Memtable()
            return old
        }
        // Released outside of the lock: its bag may empty itself.
        withExtendedLifetime(old) {}
    }
}
