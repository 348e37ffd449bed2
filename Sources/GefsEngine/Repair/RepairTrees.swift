import GefsFormat

/// Mends the trees of snapshots, oldest first.
///
/// The tree of a snapshot becomes a new one that shares with the old what is whole. What no
/// directory leads to any more goes into `lost+found` of a label of its own, forked from the
/// snapshot.
final class RepairTrees {
    private let nodes: RepairNodes
    private let space: RepairSpace
    private let inspector: RepairInspector
    private(set) var notes: RepairNotes
    private(set) var nextQid: UInt64
    private(set) var nextGeneration: Generation
    private let now: Int64

    /// What became of trees, by their roots: a fork often has the tree of what it was forked from.
    private var mended: [BlockPointer: (root: TreeRoot, notes: [RepairNote])] = [:]
    private var savedStrays: Set<UInt64> = []

    private static let qidLimit: UInt64 = 1 << 63

    init(
        nodes: RepairNodes, space: RepairSpace, inspector: RepairInspector, notes: RepairNotes,
        nextQid: UInt64, nextGeneration: Generation, now: Int64
    ) {
        self.nodes = nodes
        self.space = space
        self.inspector = inspector
        self.notes = notes
        self.nextQid = nextQid
        self.nextGeneration = nextGeneration
        self.now = now
    }

    /// - Parameters:
    ///   - needed: snapshots in whose files something was found to be wrong.
    ///   - patched: snapshots that were put together, and may have lost names.
    func mend(
        _ history: inout HistoryRepair, _ inspections: [Generation: TreeInspection],
        needed: Set<Generation>, patched: Set<Generation>
    ) throws(RepairError) {
        if let newest = history.records.keys.max(), newest >= nextGeneration {
            nextGeneration = Generation(rawValue: newest.rawValue + 1)
        }
        var changed: Set<Generation> = []
        var rescued: [(base: SnapshotRecord, generation: Generation, root: TreeRoot)] = []
        for generation in history.records.keys.sorted() {
            guard let record = history.records[generation],
                let inspection = inspections[generation]
            else { continue }
            if let loss = inspection.loss {
                history.lose(generation, why: loss, place: try emptyTree(qid: 0, generation))
                continue
            }
            var root = TreeRoot(pointer: record.root, height: inspection.height)
            if !inspection.isWhole || needed.contains(generation) {
                var names = history.names(of: generation)
                if names.isEmpty { names = ["snapshot \(generation)"] }
                if let known = mended[record.root] {
                    root = known.root
                    notes.add(
                        known.notes.map {
                            var note = $0
                            note.labels = names
                            return note
                        })
                } else {
                    let takesOrphans =
                        !inspection.lostRanges.isEmpty || !inspection.rebuilt.isEmpty
                        || patched.contains(generation)
                    let found = try mend(record, inspection, names, takesOrphans: takesOrphans)
                    guard let found else {
                        history.lose(
                            generation, why: "nothing of it is left",
                            place: try emptyTree(qid: 0, generation))
                        continue
                    }
                    root = found.root
                    mended[record.root] = (root, found.notes)
                    notes.add(found.notes)
                    if let (generation, root) = found.rescue {
                        rescued.append((record, generation, root))
                    }
                }
            } else {
                root.pointer.generation = inspection.rootBirth
            }
            if root.pointer.address != record.root.address { changed.insert(generation) }
            history.setRoot(generation, root)
        }
        history.dropLost()
        try restoreFirst(&history)
        if let label = history.labels[LabelName.adm], changed.contains(label.generation) {
            try restoreUsers(&history, label.generation)
        }
        try history.settle(
            rescueName: { [self] in rescueLabel(suffix: ".\($0)") },
            place: { [self] (generation) throws(RepairError) in
                SnapshotRecord(
                    referenceCount: 0, labelCount: 0, height: 1, generation: generation,
                    predecessor: .zero, base: .zero,
                    root: try emptyTree(qid: 0, generation).pointer)
            })
        for (base, generation, root) in rescued where history.records[base.generation] != nil {
            history.records[generation] = SnapshotRecord(
                referenceCount: 0, labelCount: 1, height: UInt32(root.height),
                generation: generation, predecessor: base.generation, base: base.generation,
                root: root.pointer)
            let name = rescueLabel(suffix: rescued.count > 1 ? ".\(generation)" : "")
            history.labels[name] = LabelRecord(generation: generation, flags: 0)
            history.settings[Key.config(LabelTime.keyPrefix + name)] = Array("\(now)".utf8)
            history.add(
                RepairNote(
                    .moved, "label",
                    "holds in lost+found what no directory leads to in "
                        + (history.names(of: base.generation).first ?? "snapshot \(base.generation)"),
                    labels: [String(decoding: name, as: UTF8.self)]))
        }
        history.count(in: try dialect(history))
    }

    private func rescueLabel(suffix: String) -> [UInt8] { Self.label(at: now, suffix: suffix) }

    /// The name of a label that a repair makes.
    static func label(at now: Int64, suffix: String) -> [UInt8] {
        let seconds = now / 1_000_000_000
        let time = CivilTime(seconds: seconds).map(\.description) ?? "\(seconds)"
        return Array("repair@\(time)\(suffix)".utf8)
    }

    // MARK: One tree

    private func mend(
        _ record: SnapshotRecord, _ inspection: TreeInspection, _ labels: [String],
        takesOrphans: Bool
    ) throws(RepairError) -> (root: TreeRoot, rescue: (Generation, TreeRoot)?, notes: [RepairNote])?
    {
        let old = TreeRoot(pointer: record.root, height: inspection.height)
        let touched = inspection.rewriting
        let target = RepairTarget(
            nodes, space, generation: record.generation, replaced: inspection.replaced)
        guard let whole = try target.apply(touched, to: old) else { return nil }
        var files = FileTreeRepair(
            try RepairScan(target: target).pairs(whole), inspection, labels: labels,
            rootQid: labels.contains("adm") ? 1 : 0, lostAndFoundQid: nextQid)
        try files.conclude(takesOrphans: takesOrphans) {
            [self] (pointer, qid, offset) throws(RepairError) in
            try inspector.mended(pointer, qid: qid, offset: offset) {
                [self] (buffer) throws(RepairError) in
                let address = try space.allocate()
                nodes.add(buffer, at: address)
                return address
            }
        }
        if files.qidMax >= nextQid, files.qidMax < Self.qidLimit - 2 { nextQid = files.qidMax + 1 }
        let edits = files.edits.merging(files.removals) { _, last in last }
        guard let root = try target.apply(edits, to: whole) else { return nil }
        var rescue: (Generation, TreeRoot)?
        if !files.rescues.isEmpty, savedStrays.insert(files.strayDigest).inserted {
            let generation = nextGeneration
            nextGeneration = Generation(rawValue: generation.rawValue + 1)
            nextQid = max(nextQid, files.lostAndFoundQid + 1)
            let fork = RepairTarget(
                nodes, space, generation: generation, replaced: inspection.replaced)
            let edits = files.edits.merging(files.rescues) { _, last in last }
            if let base = try fork.apply(touched, to: old),
                let root = try fork.apply(edits, to: base)
            {
                rescue = (generation, root)
            }
        }
        var told = files.notes
        if !inspection.replaced.isEmpty {
            told.append(
                RepairNote(
                    .mended, "tree", "rewritten without what cannot be read", labels: labels))
        }
        return (root, rescue, told)
    }

    // MARK: What every volume has

    /// The tree of a fresh volume: a root without files.
    private func emptyTree(qid: UInt64, _ birth: Generation) throws(RepairError) -> TreeRoot {
        let key = Key.entry(parent: .max, name: [UInt8]())
        let value = DirectoryEntry(
            qidPath: qid, mode: FileTreeRepair.directoryMode, uid: -1, gid: -1, muid: 0)
        let buffer = nodes.pool.make()
        var builder = LeafBuilder(block: buffer.base)
        for (key, value) in [(key, value.encoded()), (Key.up(qid), key.bytes)] {
            key.withBytes { key in
                value.withUnsafeBytes { builder.append(key: key, value: $0) }
            }
        }
        builder.finish()
        let address = try space.allocate()
        nodes.add(buffer, at: address)
        let root = TreeRoot(
            pointer: BlockPointer(
                address: address, hash: MetroHash64.hash(buffer.bytes), generation: birth),
            height: 1)
        return root
    }

    /// Makes label and snapshot `empty` anew if they are lost: what they hold is known.
    private func restoreFirst(_ history: inout HistoryRepair) throws(RepairError) {
        if history.records[.zero] == nil {
            let root = try emptyTree(qid: 0, .zero)
            let isForeign = history.records.values.contains { $0.predecessor.isNone }
            history.records[.zero] = SnapshotRecord(
                referenceCount: 0, labelCount: 1, height: 1, generation: .zero,
                predecessor: isForeign ? .none : .zero, base: isForeign ? .none : .zero,
                root: root.pointer)
            notes.add(
                RepairNote(.mended, "record", "the first snapshot, which is empty, is made anew"))
        }
        let name = Array("empty".utf8)
        if history.labels[name] == nil {
            history.labels[name] = LabelRecord(generation: .zero, flags: 0)
            notes.add(RepairNote(.mended, "label", "made anew", labels: ["empty"]))
        }
        if history.labels[LabelName.adm] == nil { try restoreAdministration(&history) }
    }

    /// Gives the label `adm` to the newest snapshot of it, or to a new tree.
    private func restoreAdministration(_ history: inout HistoryRepair) throws(RepairError) {
        // The root of `adm` has the number 1, that of all other trees 0.
        for generation in history.records.keys.sorted().reversed() {
            guard let record = history.records[generation] else { continue }
            let target = RepairTarget(nodes, space, generation: generation)
            let root = TreeRoot(pointer: record.root, height: Int(record.height))
            let key = Key.entry(parent: 1, name: "users".utf8)
            guard let pairs = try? RepairScan(target: target).pairs(root).pairs,
                pairs.contains(where: { $0.key == key })
            else { continue }
            let isTip = !history.records.values.contains { $0.predecessor == generation }
            let isNamed = !history.names(of: generation).isEmpty
            history.labels[LabelName.adm] = LabelRecord(
                generation: generation, flags: isTip && !isNamed ? LabelRecord.flagMutable : 0)
            history.add(
                RepairNote(
                    .moved, "label", "is now what snapshot \(generation) holds", labels: ["adm"]))
            return
        }
        let generation = nextGeneration
        nextGeneration = Generation(rawValue: generation.rawValue + 1)
        let text = Self.freshUsers
        let block = nodes.pool.make()
        block.clear()
        block.mutableBytes.copyBytes(from: text)
        let address = try space.allocate()
        nodes.add(block, at: address)
        let pointer = BlockPointer(
            address: address, hash: MetroHash64.hash(block.bytes), generation: generation)
        var value = [UInt8](repeating: 0, count: BlockPointer.byteCount)
        value.withUnsafeMutableBytes { bytes in
            if let base = bytes.baseAddress { pointer.encode(into: base) }
        }
        let qid = nextQid
        nextQid += 1
        let users = DirectoryEntry(
            qidPath: qid, mode: 0o664, length: Int64(text.count), uid: -1, gid: -1, muid: 0)
        let target = RepairTarget(nodes, space, generation: generation)
        let root = try target.apply(
            [
                .entry(parent: 1, name: "users".utf8): users.encoded(),
                .data(qid, offset: 0): value,
            ], to: try emptyTree(qid: 1, generation))
        guard let root else { return }
        history.records[generation] = SnapshotRecord(
            referenceCount: 0, labelCount: 1, height: UInt32(root.height), generation: generation,
            predecessor: .zero, base: .zero, root: root.pointer)
        history.labels[LabelName.adm] = LabelRecord(
            generation: generation, flags: LabelRecord.flagMutable)
        history.add(
            RepairNote(
                .lost, "label", "is made anew with the users of a fresh volume", labels: ["adm"]))
    }

    // MARK: Users

    /// The users file of a fresh volume.
    private static let freshUsers = Array("-1:adm::glenda\n0:none::\n1:glenda:glenda:\n".utf8)

    /// The entry of the users file, and its text as far as it can be read.
    private func usersFile(
        _ record: SnapshotRecord
    ) -> (key: Key, entry: DirectoryEntry, text: [UInt8])? {
        let target = RepairTarget(nodes, space, generation: record.generation)
        let root = TreeRoot(pointer: record.root, height: Int(record.height))
        guard let pairs = try? RepairScan(target: target).pairs(root).pairs,
            let found = pairs.first(where: { $0.key == Key.entry(parent: 1, name: "users".utf8) }),
            let entry = found.value.withUnsafeBytes({ try? DirectoryEntry(decoding: $0) }),
            entry.length >= 0, entry.length < Int64(UserTable.fileBytesMax)
        else { return nil }
        var text = [UInt8](repeating: 0, count: Int(entry.length))
        for pair in pairs {
            guard
                case .data(entry.qidPath, let offset)? = pair.key.withBytes({
                    try? DecodedKey($0)
                }), let start = Int(exactly: offset), start < text.count,
                let pointer = pair.value.withUnsafeBytes({ DataPointer.decode($0) }),
                let block = nodes.data(pointer.address, hash: pointer.hash)
            else { continue }
            let count = min(Geometry.blockBytes, text.count - start)
            text.replaceSubrange(start..<start + count, with: block.bytes[..<count])
        }
        return (found.key, entry, text)
    }

    /// Puts a users file that can be used in place of one that was damaged: without one nobody can
    /// attach.
    private func restoreUsers(
        _ history: inout HistoryRepair, _ generation: Generation
    ) throws(RepairError) {
        guard let record = history.records[generation], let users = usersFile(record),
            (try? UserTable(parsing: users.text)) == nil
        else { return }
        var text = Self.freshUsers
        var origin = "a fresh volume"
        for other in history.records.keys.sorted().reversed() where other != generation {
            guard let record = history.records[other], let found = usersFile(record)?.text,
                (try? UserTable(parsing: found)) != nil
            else { continue }
            text = found
            origin = "snapshot \(other)"
            break
        }
        var edits: [Key: [UInt8]?] = [:]
        var offset = 0
        while offset < text.count {
            let count = min(Geometry.blockBytes, text.count - offset)
            let block = nodes.pool.make()
            block.clear()
            block.mutableBytes.copyBytes(from: text[offset..<offset + count])
            let address = try space.allocate()
            nodes.add(block, at: address)
            let pointer = BlockPointer(
                address: address, hash: MetroHash64.hash(block.bytes), generation: generation)
            var value = [UInt8](repeating: 0, count: BlockPointer.byteCount)
            value.withUnsafeMutableBytes { bytes in
                if let base = bytes.baseAddress { pointer.encode(into: base) }
            }
            edits[.data(users.entry.qidPath, offset: UInt64(offset))] = value
            offset += Geometry.blockBytes
        }
        for beyond in stride(from: offset, to: users.text.count, by: Geometry.blockBytes) {
            edits[.data(users.entry.qidPath, offset: UInt64(beyond))] = .some(nil)
        }
        var entry = users.entry
        entry.length = Int64(text.count)
        edits[users.key] = entry.encoded()
        let target = RepairTarget(nodes, space, generation: generation)
        let root = TreeRoot(pointer: record.root, height: Int(record.height))
        if let root = try target.apply(edits, to: root) { history.setRoot(generation, root) }
        history.add(
            RepairNote(
                .lost, "file", "damaged; replaced by that of \(origin)", labels: ["adm"],
                path: "/users"))
    }

    /// The dialect that the disk shows. Source: FORMAT 11.
    private func dialect(_ history: HistoryRepair) throws(RepairError) -> Dialect {
        if history.records.values.contains(where: {
            $0.generation != .zero && $0.predecessor.isNone
        }) {
            return .n
        }
        guard let label = history.labels[LabelName.adm],
            let record = history.records[label.generation]
        else { return .r }
        let target = RepairTarget(nodes, space, generation: .zero)
        let root = TreeRoot(pointer: record.root, height: Int(record.height))
        let keys = Set(try RepairScan(target: target).pairs(root).pairs.map(\.key))
        return ["ctl", "status"].allSatisfy {
            keys.contains(Key.entry(parent: 1, name: $0.utf8))
        } ? .n : .r
    }
}
