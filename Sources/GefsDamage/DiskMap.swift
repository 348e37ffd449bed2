import GefsEngine
import GefsFormat

/// What every block of an undamaged image holds, and which files need it.
///
/// Read from the bytes by rules of its own, so that what the engine and the checker say about a
/// damaged image can be judged by something that shares no code with them but the decoders.
/// Source: FORMAT 3 to 8.
package struct DiskMap {
    /// What a block is used for.
    package enum Role: String, CaseIterable, Sendable {
        case primarySuperblock = "superblock, primary"
        case backupSuperblock = "superblock, backup"
        case arenaHeader = "arena header"
        case arenaFooter = "arena footer"
        case logHead = "log, first block"
        case logMiddle = "log, block within"
        case logTail = "log, last block"
        case snapshotPivot = "snapshot tree, pivot"
        case snapshotLeaf = "snapshot tree, leaf"
        case branchPivot = "tree of a branch, pivot"
        case branchLeaf = "tree of a branch, leaf"
        case administrationNode = "tree of adm, node"
        case snapshotTreePivot = "tree of a snapshot alone, pivot"
        case snapshotTreeLeaf = "tree of a snapshot alone, leaf"
        case data = "file data"
        case deadlistHead = "deadlist, first block"
        case deadlistRest = "deadlist, further block"
        case pendingList = "list of pending frees"
        case free = "free space"
    }

    /// The image is not one that the map understands.
    package struct Unreadable: Error, CustomStringConvertible {
        package let description: String
    }

    package let image: MemoryImage
    package let superblock: Superblock
    /// Labels with their trees, in label order.
    package private(set) var trees: [LabelTree] = []
    /// Blocks by what they are used for.
    package private(set) var blocks: [Role: [UInt64]] = [:]
    private var roles: [UInt64: Role] = [:]
    static let blockBytes = UInt64(Geometry.blockBytes)

    /// Maps an image without damage.
    package init(_ image: MemoryImage) throws {
        self.image = image
        let backup = (image.byteCount / Self.blockBytes - 1) * Self.blockBytes
        guard
            let superblock = image.bytes(at: 0, count: Geometry.blockBytes).withUnsafeBytes({
                try? Superblock(decoding: $0, at: BlockAddress(rawValue: 0))
            })
        else { throw Unreadable(description: "no primary superblock") }
        self.superblock = superblock
        note(0, .primarySuperblock)
        note(backup, .backupSuperblock)
        for reference in superblock.arenas { try mapArena(reference) }
        try mapTrees()
        for block in stride(from: Self.blockBytes, to: backup, by: Geometry.blockBytes)
        where roles[block] == nil {
            blocks[.free, default: []].append(block)
        }
        // Sets come in another order in each process, and samples are to be found again.
        for role in Role.allCases { blocks[role]?.sort() }
    }

    /// What the block at an address holds.
    package func role(of address: UInt64) -> Role { roles[address] ?? .free }

    /// Whether no reader has a use for a byte of a block: what lies there is of no consequence.
    package func isUnused(_ address: UInt64, _ offset: Int) -> Bool {
        switch role(of: address) {
        case .free: true
        case .primarySuperblock, .backupSuperblock:
            offset >= 104 + 16 * superblock.arenas.count + 8
        case .logHead, .logMiddle, .logTail, .deadlistHead, .deadlistRest, .pendingList:
            // Hash and generation in a link mean nothing (FORMAT 2).
            (20..<36).contains(offset) || offset >= 36 + usedBytes(address)
        default: false
        }
    }

    /// Whether a byte is part of a link to the next block of a chain, which no hash covers.
    package func isLink(_ address: UInt64, _ offset: Int) -> Bool {
        switch role(of: address) {
        case .logHead, .logMiddle, .logTail, .deadlistHead, .deadlistRest, .pendingList:
            (12..<20).contains(offset)
        default: false
        }
    }

    private func usedBytes(_ address: UInt64) -> Int {
        let bytes = image.bytes(at: address + 2, count: 2)
        return Int(bytes[0]) << 8 | Int(bytes[1])
    }

    // MARK: reading

    func block(_ address: UInt64) throws -> [UInt8] {
        guard address % Self.blockBytes == 0, address < image.byteCount,
            image.byteCount - address >= Self.blockBytes
        else { throw Unreadable(description: "no block at \(address)") }
        return image.bytes(at: address, count: Geometry.blockBytes)
    }

    private mutating func note(_ address: UInt64, _ role: Role) {
        // The first use counts: trees are mapped in the order of their importance.
        guard roles[address] == nil else { return }
        roles[address] = role
        blocks[role, default: []].append(address)
    }

    private mutating func mapArena(_ reference: Superblock.ArenaReference) throws {
        let start = reference.address.rawValue
        let header = try block(start).withUnsafeBytes {
            try ArenaHeader(decoding: $0, at: reference.address, hash: reference.hash)
        }
        note(start, .arenaHeader)
        note(start + Self.blockBytes, .arenaFooter)
        var chain: [UInt64] = []
        var next = header.logHead
        while !next.isNone, !chain.contains(next.rawValue) {
            chain.append(next.rawValue)
            let (isLast, link) = try block(next.rawValue).withUnsafeBytes { bytes in
                let view = try ChainBlockView(checking: bytes, at: next, expecting: .allocationLog)
                var cursor = view.logEntries()
                var isLast = false
                while let entry = try cursor.next() {
                    if case .sync(let number) = entry, number >= superblock.commitGeneration {
                        isLast = true
                        break
                    }
                }
                return (isLast, view.next.address)
            }
            next = isLast ? .none : link
        }
        for (place, address) in chain.enumerated() {
            let isLast = place == chain.count - 1
            note(address, isLast ? .logTail : place == 0 ? .logHead : .logMiddle)
        }
    }

    private mutating func mapTrees() throws {
        var snapshots = TreeReader(map: self)
        try snapshots.read(superblock.snapshotTreeRoot, height: superblock.snapshotTreeHeight)
        for node in snapshots.nodes.values {
            note(node.address, node.isLeaf ? .snapshotLeaf : .snapshotPivot)
        }
        var records: [Generation: SnapshotRecord] = [:]
        var labels: [(name: [UInt8], record: LabelRecord)] = []
        for (key, value) in snapshots.records {
            try value.withUnsafeBytes { value in
                switch try key.withBytes({ try DecodedKey($0) }) {
                case .label:
                    labels.append((Array(key.bytes.dropFirst()), try LabelRecord(decoding: value)))
                case .snapshot(let generation):
                    records[generation] = try SnapshotRecord(decoding: value)
                case .deadlist:
                    try mapChain(try DeadlistRecord(decoding: value), .deadlistHead, .deadlistRest)
                default: break
                }
            }
        }
        try mapChain(
            DeadlistRecord(head: superblock.pendingHead, tail: superblock.pendingTail),
            .pendingList, .pendingList)
        labels.sort { $0.name.lexicographicallyPrecedes($1.name) }
        var known: [UInt64: TreeReader] = [:]
        for label in labels.sorted(by: { Self.rank($0) < Self.rank($1) }) {
            guard let record = records[label.record.generation] else { continue }
            var reader = known[record.root.address.rawValue] ?? TreeReader(map: self)
            if reader.nodes.isEmpty { try reader.read(record.root, height: record.height) }
            known[record.root.address.rawValue] = reader
            let isAdministration = label.name == Array("adm".utf8)
            for node in reader.nodes.values {
                let pair: (Role, Role) =
                    isAdministration
                    ? (.administrationNode, .administrationNode)
                    : label.record.isMutable
                        ? (.branchPivot, .branchLeaf) : (.snapshotTreePivot, .snapshotTreeLeaf)
                note(node.address, node.isLeaf ? pair.1 : pair.0)
            }
            for address in reader.data { note(address, .data) }
            trees.append(
                try LabelTree(
                    label: label.name, isMutable: label.record.isMutable, reader: reader))
        }
        // Trees without a label, of disks that the original left.
        for (_, record) in records.sorted(by: { $0.key < $1.key }) {
            guard known[record.root.address.rawValue] == nil else { continue }
            var reader = TreeReader(map: self)
            try reader.read(record.root, height: record.height)
            known[record.root.address.rawValue] = reader
            for node in reader.nodes.values {
                note(node.address, node.isLeaf ? .snapshotTreeLeaf : .snapshotTreePivot)
            }
            for address in reader.data { note(address, .data) }
        }
    }

    private static func rank(_ label: (name: [UInt8], record: LabelRecord)) -> Int {
        label.name == Array("adm".utf8) ? 0 : label.record.isMutable ? 1 : 2
    }

    private mutating func mapChain(
        _ record: DeadlistRecord, _ first: Role, _ others: Role
    ) throws {
        var address = record.head.address
        var count = 0
        while !address.isNone, count < 1 << 20 {
            note(address.rawValue, count == 0 ? first : others)
            count += 1
            if address == record.tail.address { return }
            address = try block(address.rawValue).withUnsafeBytes {
                try ChainBlockView(checking: $0, at: address, expecting: .deadlist).next.address
            }
        }
    }
}
