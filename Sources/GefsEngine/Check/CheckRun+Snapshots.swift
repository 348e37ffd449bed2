import GefsFormat

/// Labels, snapshot records and the trees that they name.
///
/// Source: FORMAT 7.3 and 8.
extension CheckRun {
    /// Walks the snapshot tree.
    ///
    /// - Returns: its root.
    func walkSnapshotTree() -> NodeNumber {
        let (root, flags) = walkTree(
            .snapshots, root: superblock.snapshotTreeRoot, height: superblock.snapshotTreeHeight)
        snapshotTreeFlags = flags
        return root
    }

    /// Takes labels, snapshots and deadlists out of the snapshot tree.
    func collectSnapshots(_ root: NodeNumber) {
        var records: [(key: Key, record: SnapshotRecord)] = []
        let difference = TreeDifference(self)
        difference.compare(from: nil, to: root) { part, _ in
            part.forEachRecord { key, value in
                do throws(RecordError) {
                    try collect(key, value, &records)
                } catch {
                    log.add(.snapshot(.record(Key(key), error)))
                }
            } failure: { key, error in
                log.add(.snapshot(.message(Key(key), error)))
            }
        }
        if !superblock.pendingHead.isNone || !superblock.pendingTail.isNone {
            deadlists.append(
                CheckedDeadlist(
                    name: .pending, generation: .none, birth: .none,
                    record: DeadlistRecord(
                        head: superblock.pendingHead, tail: superblock.pendingTail)))
        }
        var names: [Generation: [Key]] = [:]
        for label in labels { names[label.record.generation, default: []].append(label.key) }
        for (key, record) in records {
            guard case .snapshot(let generation)? = key.withBytes({ try? DecodedKey($0) }) else {
                continue
            }
            let labels = names[generation] ?? []
            snapshots.append(
                CheckedSnapshot(
                    generation: generation, record: record,
                    name: .files(generation, labels: labels), labelCount: labels.count))
        }
        snapshots.sort { $0.generation < $1.generation }
    }

    private func collect(
        _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer,
        _ records: inout [(key: Key, record: SnapshotRecord)]
    ) throws(RecordError) {
        // What is no key, or none of this tree, was reported by the walk.
        guard let decoded = try? DecodedKey(key) else { return }
        switch decoded {
        case .label:
            labels.append((Key(key), try LabelRecord(decoding: value)))
        case .snapshot:
            records.append((Key(key), try SnapshotRecord(decoding: value)))
        case .deadlist(let generation, let birth):
            deadlists.append(
                CheckedDeadlist(
                    name: .list(generation, birth: birth), generation: generation, birth: birth,
                    record: try DeadlistRecord(decoding: value)))
        case .data, .entry, .up, .config, .inode, .link, .attribute:
            break
        }
    }

    /// Walks the trees of all snapshots, the oldest first.
    func walkFileTrees() {
        history = HistoryForest(snapshots)
        for index in snapshots.indices {
            let record = snapshots[index].record
            snapshots[index].firstNode = NodeNumber(graph.nodes.count)
            beginLine(index)
            (snapshots[index].root, snapshots[index].flags) = walkTree(
                snapshots[index].name, root: record.root, height: record.height)
        }
        walk.line = nil
        walk.finish()
    }

    /// Checks labels and records against each other.
    func checkSnapshots() {
        let known = Set(snapshots.map(\.generation))
        let names = Set(labels.map(\.key))
        // With nodes of the snapshot tree gone, what is not there says nothing.
        let isIncomplete = snapshotTreeFlags.contains(.incomplete)
        for name in ["adm", "empty"] where !isIncomplete {
            let key = Key.label(name.utf8)
            if !names.contains(key) { log.add(.snapshot(.labelMissing(key))) }
        }
        for label in labels {
            if !isIncomplete, !known.contains(label.record.generation) {
                log.add(.snapshot(.labelDangling(label.key, label.record.generation)))
            }
            // Bits 2 and 4 are dead, and may be set.
            if label.record.flags & ~7 != 0 {
                log.add(.snapshot(.labelFlags(label.key, label.record.flags)))
            }
        }
        let next = superblock.nextGeneration
        for snapshot in snapshots {
            let (record, name) = (snapshot.record, snapshot.name)
            if record.generation != snapshot.generation || snapshot.generation >= next {
                log.add(.snapshot(.generation(name, stated: record.generation, next: next)))
            }
            guard !isIncomplete else { continue }
            if Int(record.labelCount) != snapshot.labelCount {
                log.add(
                    .snapshot(
                        .labelCount(
                            name, stated: record.labelCount, found: snapshot.labelCount)))
            }
            if snapshot.labelCount == 0, record.referenceCount == 0 {
                log.add(.snapshot(.unreferenced(name)))
            }
            for (link, target) in [
                (SnapshotFault.Link.predecessor, record.predecessor),
                (.successor, record.successor),
            ] where !target.isNone && !known.contains(target) {
                log.add(.snapshot(.linkDangling(name, link, target)))
            }
        }
    }
}
