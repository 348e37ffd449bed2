import GefsEngine
import GefsFormat

/// What lies where on a sound image, and what each file depends on.
struct ImageMap {
    /// What a block holds.
    enum Kind: String, CaseIterable {
        case superblock, arena, log, snapshotNode, pivot, leaf, data, deadlist
    }

    /// A file of a label.
    struct File {
        var qid: UInt64
        var isDirectory: Bool
        /// Its entry, encoded.
        var entry: [UInt8]
        /// Offsets and hashes of its data.
        var extents: [UInt64: UInt64]
        /// The blocks that its own entry and data are in or found by.
        var needs: Set<UInt64>
        /// The same for the directories above.
        var needsAbove: Set<UInt64>
    }

    /// Blocks by kind, by address.
    private(set) var blocks: [Kind: [UInt64]] = [:]
    private(set) var kinds: [UInt64: Kind] = [:]
    /// Where the pointers to a node lie: the node, and the place in it.
    private(set) var parents: [UInt64: [(parent: UInt64, offset: Int)]] = [:]
    private(set) var snapshotRoot: UInt64 = 0
    /// Files by label and path.
    private(set) var files: [String: [String: File]] = [:]
    /// The blocks that a label is found by.
    private(set) var labelNeeds: [String: Set<UInt64>] = [:]

    let image: MemoryImage
    private let reader: ImageReader

    /// - Parameter withBlocks: also finds out what lies where.
    init?(_ image: MemoryImage, withBlocks: Bool) {
        self.image = image
        reader = ImageReader(image: image)
        guard let superblock = reader.superblock else { return nil }
        snapshotRoot = superblock.snapshotTreeRoot.address.rawValue
        readLabels(superblock)
        if withBlocks { findBlocks(superblock) }
    }

    private mutating func readLabels(_ superblock: Superblock) {
        let pairs = reader.pairs(
            root: superblock.snapshotTreeRoot, height: Int(superblock.snapshotTreeHeight))
        var records: [Generation: (SnapshotRecord, [UInt64])] = [:]
        var known: [BlockPointer: [String: File]] = [:]
        for pair in pairs {
            if let record = pair.value.withUnsafeBytes({ try? SnapshotRecord(decoding: $0) }),
                pair.key.first == KeyKind.snapshot.rawValue
            {
                records[record.generation] = (record, pair.nodes)
            }
        }
        for pair in pairs where pair.key.first == KeyKind.label.rawValue {
            guard let label = pair.value.withUnsafeBytes({ try? LabelRecord(decoding: $0) }),
                let (record, nodes) = records[label.generation]
            else { continue }
            let name = String(decoding: pair.key.dropFirst(), as: UTF8.self)
            let tree = known[record.root] ?? readFiles(record)
            known[record.root] = tree
            files[name] = tree
            labelNeeds[name] = Set(pair.nodes + nodes + [record.root.address.rawValue])
        }
    }

    private func readFiles(_ record: SnapshotRecord) -> [String: File] {
        struct Entry {
            var parent: UInt64
            var name: String
            var file: File
        }
        var entries: [UInt64: Entry] = [:]
        var extents: [UInt64: [(UInt64, UInt64, [UInt64])]] = [:]
        for pair in reader.pairs(root: record.root, height: Int(record.height)) {
            let key = pair.key.withUnsafeBytes { try? DecodedKey($0) }
            switch key {
            case .data(let qid, let offset):
                pair.value.withUnsafeBytes { value in
                    guard let base = value.baseAddress else { return }
                    let pointer = BlockPointer(decoding: base)
                    extents[qid, default: []].append(
                        (offset, pointer.hash, pair.nodes + [pointer.address.rawValue]))
                }
            case .entry(let parent, let name):
                guard let entry = pair.value.withUnsafeBytes({ try? DirectoryEntry(decoding: $0) })
                else { continue }
                entries[entry.qidPath] = Entry(
                    parent: parent, name: String(decoding: name, as: UTF8.self),
                    file: File(
                        qid: entry.qidPath, isDirectory: entry.isDirectory, entry: pair.value,
                        extents: [:], needs: Set(pair.nodes), needsAbove: []))
            default: break
            }
        }
        var files: [String: File] = [:]
        for (qid, entry) in entries {
            var file = entry.file
            for (offset, hash, nodes) in extents[qid] ?? [] {
                file.extents[offset] = hash
                file.needs.formUnion(nodes)
            }
            var names = [entry.name]
            var parent = entry.parent
            var steps = 0
            while parent != .max, let above = entries[parent], steps < 100 {
                names.append(above.name)
                file.needsAbove.formUnion(above.file.needs)
                parent = above.parent
                steps += 1
            }
            guard parent == .max else { continue }
            files[names.reversed().joined(separator: "/")] = file
        }
        return files
    }

    // MARK: Blocks

    private mutating func add(_ kind: Kind, _ address: UInt64) {
        guard kinds[address] == nil else { return }
        kinds[address] = kind
        blocks[kind, default: []].append(address)
    }

    private mutating func findBlocks(_ superblock: Superblock) {
        let blockBytes = UInt64(Geometry.blockBytes)
        add(.superblock, 0)
        add(.superblock, image.byteCount - image.byteCount % blockBytes - blockBytes)
        for arena in superblock.arenas {
            add(.arena, arena.address.rawValue)
            add(.arena, arena.address.rawValue + blockBytes)
            findLog(arena, superblock.commitGeneration)
        }
        walk(snapshotRoot, isSnapshotTree: true)
        for pair in reader.pairs(
            root: superblock.snapshotTreeRoot, height: Int(superblock.snapshotTreeHeight))
        where pair.key.first == KeyKind.deadlist.rawValue {
            if let list = pair.value.withUnsafeBytes({ try? DeadlistRecord(decoding: $0) }) {
                findList(list)
            }
        }
        for kind in Kind.allCases { blocks[kind]?.sort() }
    }

    private mutating func walk(_ address: UInt64, isSnapshotTree: Bool) {
        guard kinds[address] == nil else { return }
        let bytes = reader.block(address)
        let isLeaf = bytes[1] == UInt8(BlockKind.leaf.rawValue)
        add(isSnapshotTree ? .snapshotNode : isLeaf ? .leaf : .pivot, address)
        for link in reader.links(address) {
            guard link.isNode else {
                add(.data, link.address)
                continue
            }
            parents[link.address, default: []].append((address, link.offset))
            walk(link.address, isSnapshotTree: isSnapshotTree && !isLeaf)
        }
    }

    private mutating func findLog(_ arena: Superblock.ArenaReference, _ commit: UInt64) {
        let header = reader.block(arena.address.rawValue).withUnsafeBytes {
            try? ArenaHeader(decoding: $0, at: arena.address)
        }
        var address = header?.logHead ?? .none
        while !address.isNone {
            add(.log, address.rawValue)
            let next = reader.block(address.rawValue).withUnsafeBytes { bytes -> BlockAddress in
                guard
                    let view = try? ChainBlockView(
                        checking: bytes, at: address, expecting: .allocationLog)
                else { return .none }
                var cursor = view.logEntries()
                while let entry = try? cursor.next() {
                    if case .sync(let number) = entry, number >= commit { return .none }
                }
                return view.next.address
            }
            address = next
        }
    }

    private mutating func findList(_ list: DeadlistRecord) {
        var address = list.head.address
        while !address.isNone {
            add(.deadlist, address.rawValue)
            guard address != list.tail.address else { return }
            address = reader.block(address.rawValue).withUnsafeBytes { bytes in
                (try? ChainBlockView(checking: bytes, at: address, expecting: .deadlist))?
                    .next.address ?? .none
            }
        }
    }
}
