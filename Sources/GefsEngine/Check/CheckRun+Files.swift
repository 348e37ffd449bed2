import GefsFormat

/// The files of each snapshot, all messages applied.
///
/// Snapshots are taken in such an order that each is compared with a relative. The cost is one
/// pass over the records of the first tree of every family, and for the others one over the
/// leaves in which they differ. Where errors are found the next snapshot is read wholly, so that
/// each one's errors are reported.
/// Source: FORMAT 7.2.
extension CheckRun {
    func checkHierarchies() {
        let table = HierarchyTable()
        let difference = TreeDifference(self)
        var checker = HierarchyCheck(table: table)
        var previous: CheckedSnapshot?
        for index in snapshotsByFamily() where !isCancelled {
            let snapshot = snapshots[index]
            guard snapshot.root != NodeGraph.none else {
                previous = nil
                continue
            }
            if snapshot.flags.contains(.damaged) { previous = nil }
            if previous == nil { checker.reset() }
            let errorsBefore = log.errorCount
            difference.compare(from: previous?.root, to: snapshot.root) { part, isAdded in
                record(part, isAdded, snapshot.name, table)
            }
            guard !isCancelled else { return }
            // Where records are missing, others seem to contradict each other.
            if !snapshot.flags.contains(.incomplete) {
                conclude(snapshot, &checker, difference)
            }
            let isClean = log.errorCount == errorsBefore && !snapshot.flags.contains(.damaged)
            previous = isClean && options.comparesRelatives ? snapshot : nil
        }
    }

    /// Places of the snapshots: each behind the one that it was made from, where that is known.
    private func snapshotsByFamily() -> [Int] {
        let byGeneration = Dictionary(
            snapshots.indices.map { (snapshots[$0].generation, $0) },
            uniquingKeysWith: { first, _ in first })
        var children: [Int: [Int]] = [:]
        var order: [Int] = []
        var todo: [Int] = []
        for index in snapshots.indices {
            let record = snapshots[index].record
            // A link to an older one only, so that there are no circles.
            let parent = [record.predecessor, record.base].lazy.compactMap { byGeneration[$0] }
                .first { $0 < index }
            if let parent {
                children[parent, default: []].append(index)
            } else {
                todo.append(index)
            }
        }
        todo.reverse()
        while let index = todo.popLast() {
            order.append(index)
            todo += (children[index] ?? []).reversed()
        }
        return order
    }

    // MARK: records

    /// Adds the records of a leaf to the table, or takes them away.
    private func record(
        _ part: LeafPart, _ isAdded: Bool, _ tree: TreeName, _ table: HierarchyTable
    ) {
        func report(_ fault: HierarchyFault) {
            if isAdded { log.add(.files(tree, fault)) }
        }
        part.forEachRecord { key, value in
            switch key.first.flatMap(KeyKind.init(rawValue:)) {
            case .data:
                guard let data = DataKey(key) else { return }
                if data.offset % UInt64(Geometry.blockBytes) != 0 {
                    report(.dataOffset(qid: data.qid, offset: data.offset))
                }
                if isAdded {
                    table.add(data: data.qid, offset: data.offset)
                } else {
                    table.remove(data: data.qid, offset: data.offset)
                }
            case .entry:
                recordEntry(key, value, isAdded, table, report)
            case .up:
                guard case .up(let qid)? = try? DecodedKey(key) else { return }
                if isAdded {
                    table.add(up: qid, targetHash: MetroHash64.hash(value))
                } else {
                    table.remove(up: qid)
                }
            case .config:
                if Self.isPendingRecord(key) { table.pendingCount += isAdded ? 1 : -1 }
            case .inode:
                recordInode(key, value, isAdded, table, report)
            case .link:
                guard case .link(let qid, let parent, let name)? = try? DecodedKey(key) else {
                    return
                }
                let entryKey = Key.entry(parent: parent, name: name)
                table.count(
                    link: qid, entryHash: entryKey.withBytes { MetroHash64.hash($0) },
                    by: isAdded ? 1 : -1)
            case .attribute:
                guard let attribute = AttributeKeyView(key) else { return }
                table.count(attribute: attribute.qid, by: isAdded ? 1 : -1)
            case .label, .snapshot, .deadlist, nil:
                break
            }
        } failure: { key, error in
            report(.message(Key(key), error))
        }
        // Nothing is read for parts that are in the cache, yet it takes time.
        reportProgress()
    }

    private func recordEntry(
        _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, _ isAdded: Bool,
        _ table: HierarchyTable, _ report: (HierarchyFault) -> Void
    ) {
        guard let place = EntryKeyView(key) else { return }
        if isAdded, !isName(place) { report(.name(Key(key))) }
        if let link = LinkRecord(value) {
            if isAdded, !isPosix { report(.posix(Key(key))) }
            return table.count(
                name: link.qidPath, in: place.parent, entryHash: MetroHash64.hash(key),
                by: isAdded ? 1 : -1)
        }
        guard let (entry, length) = decode(value, of: key, report) else { return }
        guard isAdded else { return table.remove(entry: entry, parent: place.parent) }
        table.add(
            entry: entry, parent: place.parent, length: length, keyHash: MetroHash64.hash(key))
        check(entry, length, Key(key), report)
    }

    /// The entry of a file that has several names.
    private func recordInode(
        _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, _ isAdded: Bool,
        _ table: HierarchyTable, _ report: (HierarchyFault) -> Void
    ) {
        guard case .inode(let qid)? = try? DecodedKey(key) else { return }
        guard let (entry, length) = decode(value, of: key, report) else { return }
        guard isAdded else { return table.remove(inode: qid) }
        table.add(inode: qid, entry, length: length)
        if entry.qidPath != qid || entry.isDirectory { report(.inode(qid: qid)) }
        check(entry, length, Key(key), report)
    }

    /// An entry, whatever its length is; nil, and reported, where the value is none.
    private func decode(
        _ value: UnsafeRawBufferPointer, of key: UnsafeRawBufferPointer,
        _ report: (HierarchyFault) -> Void
    ) -> (DirectoryEntry, length: UInt64)? {
        do throws(RecordError) {
            return try DirectoryEntry.decodingAnyLength(value)
        } catch {
            report(.entry(Key(key), error))
            return nil
        }
    }

    /// What can be said of an entry without anything else.
    private func check(
        _ entry: DirectoryEntry, _ length: UInt64, _ key: Key, _ report: (HierarchyFault) -> Void
    ) {
        if length > UInt64(Int64.max) { report(.fileLength(key, length)) }
        if entry.posix != nil, !isPosix { report(.posix(key)) }
        // The server's own files have numbers from bit 63 on.
        if entry.qidPath >= superblock.nextQid, entry.qidPath < 1 << 63 {
            report(.qidRange(qid: entry.qidPath, name: key, next: superblock.nextQid))
        }
        if UInt32(entry.qidType) != entry.mode >> 24 {
            report(.qidType(name: key, type: entry.qidType, mode: entry.mode))
        }
    }

    /// Whether the disk has what the original does not know.
    var isPosix: Bool { superblock.features.contains(.posix) }

    private func isName(_ place: EntryKeyView) -> Bool {
        let isRoot = place.parent == .max
        return isRoot == place.name.isEmpty && (isRoot || Self.isFileName(place.name))
    }

    private static func isFileName(_ name: UnsafeRawBufferPointer) -> Bool {
        let dot = UInt8(ascii: ".")
        guard name.count > 2 || !name.allSatisfy({ $0 == dot }) else { return false }
        return !name.contains(UInt8(ascii: "/"))
    }

    /// Whether a setting is our own note that blocks of a file are still to be reclaimed.
    private static func isPendingRecord(_ key: UnsafeRawBufferPointer) -> Bool {
        let name = key.dropFirst()
        return name.starts(with: "gefs.orphan.".utf8) || name.starts(with: "gefs.clear.".utf8)
    }

    // MARK: the whole

    private func conclude(
        _ snapshot: CheckedSnapshot, _ checker: inout HierarchyCheck, _ difference: TreeDifference
    ) {
        countPastEnd(snapshot, &checker, difference)
        for fault in checker.conclude() { log.add(.files(snapshot.name, fault)) }
    }

    /// Looks at the data of files that may have some past their end.
    ///
    /// They are few as a rule, and looked up one by one; else all data keys are passed over.
    private func countPastEnd(
        _ snapshot: CheckedSnapshot, _ checker: inout HierarchyCheck, _ difference: TreeDifference
    ) {
        let files = checker.table.dirty.filter { checker.table.slot($0)?.needsCount ?? false }
        guard !files.isEmpty else { return }
        let isSweep = files.count > 256
        var counts = Dictionary(
            files.map { ($0, DataEnd()) }, uniquingKeysWith: { first, _ in first })
        let ranges =
            isSweep
            ? [KeyRange(low: .data(0, offset: 0), high: .prefix(.entry))]
            : files.map { qid in
                let high = qid == .max ? Key.prefix(.entry) : Key.dataPrefix(qid + 1)
                return KeyRange(low: .dataPrefix(qid), high: high)
            }
        for (place, range) in ranges.enumerated() {
            difference.compare(from: nil, to: snapshot.root, within: range) { part, _ in
                part.forEachRecord { key, _ in
                    guard let data = DataKey(key), isSweep || data.qid == files[place] else {
                        return
                    }
                    let length = checker.table.slot(data.qid)?.length ?? .max
                    counts[data.qid]?.add(data.offset, length: length)
                } failure: { _, _ in
                }
            }
        }
        for (qid, end) in counts { checker.setDataEnd(of: qid, end) }
    }
}

/// How far the data of a file reaches.
struct DataEnd {
    var lastOffset: UInt64 = 0
    var count: Int32 = 0
    /// Blocks that start at or past the end of the file.
    var pastEndCount = 0

    mutating func add(_ offset: UInt64, length: UInt64) {
        lastOffset = max(lastOffset, offset)
        count &+= 1
        if offset >= length { pastEndCount += 1 }
    }
}

extension DirectoryEntry {
    /// Reads an entry whatever its length is; beyond `Int64` it is returned apart only.
    static func decodingAnyLength(
        _ bytes: UnsafeRawBufferPointer
    ) throws(RecordError) -> (DirectoryEntry, length: UInt64) {
        do {
            let entry = try DirectoryEntry(decoding: bytes)
            return (entry, UInt64(entry.length))
        } catch {
            guard case .fileLength(let length) = error else { throw error }
            var copy = Array(bytes)
            // The sign of the length (FORMAT 7.1).
            copy[41] &= 0x7f
            let result = copy.withUnsafeBytes {
                (bytes) -> Result<DirectoryEntry, RecordError> in
                do throws(RecordError) {
                    return .success(try DirectoryEntry(decoding: bytes))
                } catch {
                    return .failure(error)
                }
            }
            return (try result.get(), length)
        }
    }
}
