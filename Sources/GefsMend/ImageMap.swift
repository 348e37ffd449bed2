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
        /// It has several names, or had.
        var isLinked = false
        /// Its entry, encoded; without the count of names, for each of them is a file here.
        var entry: [UInt8]
        /// Parts of its extended attributes, by key.
        var attributes: [[UInt8]: [UInt8]] = [:]
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

    /// A name in a tree, and the file that it stands for.
    private struct Entry {
        var parent: UInt64
        var name: String
        var file: File
    }

    private func readFiles(_ record: SnapshotRecord) -> [String: File] {
        var parts = TreeParts()
        for pair in reader.pairs(root: record.root, height: Int(record.height)) { parts.take(pair) }
        var directories: [UInt64: Entry] = [:]
        for entry in parts.entries where entry.file.isDirectory {
            directories[entry.file.qid] = entry
        }
        var files: [String: File] = [:]
        for entry in parts.entries {
            guard var file = parts.whole(entry.file) else { continue }
            var names = [entry.name]
            var parent = entry.parent
            var steps = 0
            while parent != .max, let above = directories[parent], steps < 100 {
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

    /// What a tree holds, by file.
    private struct TreeParts {
        var entries: [Entry] = []
        private var extents: [UInt64: [(UInt64, UInt64, [UInt64])]] = [:]
        private var attributes: [UInt64: [ImageReader.Pair]] = [:]
        /// Entries of files with several names.
        private var inodes: [UInt64: ImageReader.Pair] = [:]

        mutating func take(_ pair: ImageReader.Pair) {
            switch pair.key.withUnsafeBytes({ try? DecodedKey($0) }) {
            case .data(let qid, let offset):
                pair.value.withUnsafeBytes { value in
                    guard let base = value.baseAddress else { return }
                    let pointer = BlockPointer(decoding: base)
                    extents[qid, default: []].append(
                        (offset, pointer.hash, pair.nodes + [pointer.address.rawValue]))
                }
            case .entry(let parent, let name):
                guard let file = Self.file(pair) else { return }
                entries.append(
                    Entry(parent: parent, name: String(decoding: name, as: UTF8.self), file: file))
            case .inode(let qid): inodes[qid] = pair
            case .attribute(let qid, _, _): attributes[qid, default: []].append(pair)
            default: break
            }
        }

        private static func file(_ pair: ImageReader.Pair) -> File? {
            if let link = pair.value.withUnsafeBytes({ LinkRecord($0) }) {
                return File(
                    qid: link.qidPath, isDirectory: false, isLinked: true, entry: [],
                    extents: [:], needs: Set(pair.nodes), needsAbove: [])
            }
            guard var entry = pair.value.withUnsafeBytes({ try? DirectoryEntry(decoding: $0) })
            else { return nil }
            // How many directories are in it may change with what is lost.
            if entry.isDirectory { entry.posix?.linkCount = 0 }
            return File(
                qid: entry.qidPath, isDirectory: entry.isDirectory, entry: entry.encoded(),
                extents: [:], needs: Set(pair.nodes), needsAbove: [])
        }

        /// A file with all that belongs to it; nil where its entry is missing.
        func whole(_ file: File) -> File? {
            var file = file
            if file.isLinked {
                guard let inode = inodes[file.qid],
                    var entry = inode.value.withUnsafeBytes({ try? DirectoryEntry(decoding: $0) })
                else { return nil }
                entry.posix?.linkCount = 0
                file.entry = entry.encoded()
                file.needs.formUnion(inode.nodes)
            }
            for (offset, hash, nodes) in extents[file.qid] ?? [] {
                file.extents[offset] = hash
                file.needs.formUnion(nodes)
            }
            for part in attributes[file.qid] ?? [] {
                file.attributes[part.key] = part.value
                file.needs.formUnion(part.nodes)
            }
            return file
        }
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
