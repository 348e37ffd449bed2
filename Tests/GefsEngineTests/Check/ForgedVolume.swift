import GefsFormat

@testable import GefsEngine

/// A small volume on an image in memory, block by block under the tests' control.
struct ForgedVolume {
    var image: MemoryImage
    /// Where the blocks of interest lie.
    private(set) var addresses: [String: UInt64] = [:]

    private var pointers: [String: BlockPointer] = [:]
    private let plan: VolumePlan
    private let arenaBytes: UInt64
    private var nextBlock: [Int]
    private var logged: [[UInt64]]
    private static let blockBytes = UInt64(Geometry.blockBytes)

    init(_ plan: VolumePlan = VolumePlan()) {
        self.plan = plan
        arenaBytes = UInt64(plan.arenaBlocks) * Self.blockBytes
        let span = arenaBytes + 2 * Self.blockBytes
        image = MemoryImage(byteCount: UInt64(plan.arenaCount) * span + 2 * Self.blockBytes)
        nextBlock = Array(repeating: 1, count: plan.arenaCount)
        logged = Array(repeating: [], count: plan.arenaCount)
        addresses["primary"] = 0
        for arena in 0..<plan.arenaCount { addresses["log\(arena)"] = arenaStart(arena) }
        addresses["backup"] = image.byteCount - Self.blockBytes
        write()
    }

    /// The address of a block by its name, or a number.
    func address(_ name: String) -> BlockAddress {
        BlockAddress(rawValue: addresses[name] ?? UInt64(name) ?? .max)
    }

    // MARK: tampering with what is written

    /// Changes bytes of a block, without making hashes fit.
    mutating func change(_ name: String, _ body: (UnsafeMutableRawPointer) -> Void) {
        change(at: address(name).rawValue, body)
    }

    private mutating func change(at start: UInt64, _ body: (UnsafeMutableRawPointer) -> Void) {
        var bytes = image.bytes(at: start, count: Geometry.blockBytes)
        bytes.withUnsafeMutableBytes { bytes in
            if let base = bytes.baseAddress { body(base) }
        }
        bytes.withUnsafeBytes { image.write($0, at: start) }
    }

    /// Inverts one byte.
    mutating func flip(_ name: String, _ offset: Int) {
        change(name) { base in
            let byte = base.load(fromByteOffset: offset, as: UInt8.self)
            base.storeBytes(of: ~byte, toByteOffset: offset, as: UInt8.self)
        }
    }

    /// Exchanges the contents of two blocks.
    mutating func exchange(_ left: String, _ right: String) {
        let first = image.bytes(at: address(left).rawValue, count: Geometry.blockBytes)
        let second = image.bytes(at: address(right).rawValue, count: Geometry.blockBytes)
        let (start, end) = (address(left).rawValue, address(right).rawValue)
        second.withUnsafeBytes { image.write($0, at: start) }
        first.withUnsafeBytes { image.write($0, at: end) }
    }

    /// Rewrites the entries of an arena's log block, with a hash that fits.
    mutating func rewriteLog(
        _ arena: Int, next: UInt64 = .max, _ body: (inout [LogEntry]) -> Void
    ) {
        var entries: [LogEntry] = []
        change("log\(arena)") { base in
            let block = UnsafeRawBufferPointer(start: base, count: Geometry.blockBytes)
            let view = try? ChainBlockView(
                checking: block, at: BlockAddress(rawValue: 0), expecting: .allocationLog)
            var cursor = view?.logEntries()
            while let entry = try? cursor?.next() { entries.append(entry) }
            body(&entries)
            var builder = ChainBlockBuilder(block: base)
            for entry in entries { _ = builder.append(entry) }
            builder.finish(kind: .allocationLog, next: Self.link(next))
        }
    }

    static func link(_ address: UInt64) -> BlockPointer {
        BlockPointer(address: BlockAddress(rawValue: address), hash: 0, generation: .zero)
    }

    /// Changes one superblock, with a hash that fits.
    mutating func rewriteSuperblock(_ name: String, _ body: (inout Superblock) -> Void) {
        let address = address(name)
        change(name) { base in
            let block = UnsafeMutableRawBufferPointer(start: base, count: Geometry.blockBytes)
            guard var superblock = try? Superblock(decoding: .init(block), at: address) else {
                return
            }
            body(&superblock)
            superblock.encode(into: block)
        }
    }

    /// Changes a header or footer; returns the hash that it has then.
    @discardableResult
    mutating func rewriteHeader(_ name: String, _ body: (inout ArenaHeader) -> Void) -> UInt64 {
        var hash: UInt64 = 0
        let address = address(name)
        change(name) { base in
            let block = UnsafeMutableRawBufferPointer(start: base, count: Geometry.blockBytes)
            guard var header = try? ArenaHeader(decoding: .init(block), at: address) else { return }
            body(&header)
            hash = header.encode(into: block)
        }
        return hash
    }

    // MARK: writing

    private mutating func allocate(_ name: String, arena: Int = 0) -> UInt64 {
        let start = arenaStart(arena) + UInt64(nextBlock[arena]) * Self.blockBytes
        nextBlock[arena] += 1
        addresses[name] = start
        if !plan.unlogged.contains(name) { logged[arena].append(start) }
        return start
    }

    private func arenaStart(_ arena: Int) -> UInt64 {
        Self.blockBytes + UInt64(arena) * (arenaBytes + 2 * Self.blockBytes)
            + 2 * Self.blockBytes
    }

    /// Writes a block that `fill` fills; returns its pointer and what `fill` returned.
    private mutating func block<R>(
        _ name: String, birth: UInt64, arena: Int = 0, _ fill: (UnsafeMutableRawPointer) -> R
    ) -> (BlockPointer, R) {
        let start = allocate(name, arena: arena)
        var result: R?
        var hash: UInt64 = 0
        let tamper = plan.tamper[name]
        change(name) { base in
            result = fill(base)
            tamper?(base)
            hash = MetroHash64.hash(
                UnsafeRawBufferPointer(start: base, count: Geometry.blockBytes))
        }
        let pointer = BlockPointer(
            address: BlockAddress(rawValue: start), hash: hash,
            generation: Generation(rawValue: birth))
        guard let result else { preconditionFailure("the block was not filled") }
        pointers[name] = pointer
        return (pointer, result)
    }

    private mutating func data(_ name: String, birth: UInt64) -> BlockPointer {
        block(name, birth: birth, arena: 1) { base in
            for (index, byte) in name.utf8.enumerated() {
                base.storeBytes(of: byte, toByteOffset: index, as: UInt8.self)
            }
        }.0
    }

    private mutating func leaf(
        _ name: String, birth: UInt64, _ records: [VolumePlan.Record]
    ) -> Child {
        let sorted = records.sorted { $0.key < $1.key }
        let (pointer, fill) = block(name, birth: birth) { base in
            var builder = LeafBuilder(block: base)
            for record in sorted {
                record.key.withBytes { key in
                    record.value.withUnsafeBytes { builder.append(key: key, value: $0) }
                }
            }
            return builder.finish()
        }
        return Child(key: sorted.first?.key ?? Key(bytes: [0]), pointer: pointer, fill: fill)
    }

    private struct Child {
        var key: Key
        var pointer: BlockPointer
        var fill: Int
    }

    private mutating func pivot(
        _ name: String, birth: UInt64, _ children: [Child], _ messages: [VolumePlan.Message]
    ) -> Child {
        let (pointer, fill) = block(name, birth: birth) { base in
            var builder = PivotBuilder(block: base)
            for child in children {
                child.key.withBytes {
                    builder.appendChild(key: $0, pointer: child.pointer, fill: child.fill)
                }
            }
            for message in messages {
                message.key.withBytes { key in
                    message.payload.withUnsafeBytes {
                        builder.appendMessage(kind: message.kind, key: key, payload: $0)
                    }
                }
            }
            return builder.finish()
        }
        return Child(key: children.first?.key ?? Key(bytes: [0]), pointer: pointer, fill: fill)
    }

    private mutating func write() {
        for index in 0..<plan.leakedCount { _ = allocate("leak\(index)", arena: 1) }
        let roots = writeTrees()
        var records = plan.labels
        for var snapshot in plan.snapshots {
            snapshot.root = roots[snapshot.generation.rawValue] ?? .none
            records.append((.snapshot(snapshot.generation), snapshot.encoded()))
        }
        for list in plan.deadlists {
            let name = "deadlist (\(list.generation), \(list.birth))"
            let chain = chain(name, list.entries)
            let key = Key.deadlist(
                Generation(rawValue: list.generation), birth: Generation(rawValue: list.birth))
            records.append((key, DeadlistRecord(head: chain, tail: chain).encoded()))
        }
        let top = repeated(
            snapshotTree(records.sorted { $0.key < $1.key }).pointer, plan.repeatedSnapshotLevels,
            around: Key(bytes: [KeyKind.snapshot.rawValue]), "snapshots", birth: 0)
        let pending = plan.pending.isEmpty ? BlockPointer.none : chain("pending", plan.pending)
        writeArenas(root: top, pending: pending)
    }

    private mutating func snapshotTree(_ records: [VolumePlan.Record]) -> Child {
        guard !plan.snapshotMessages.isEmpty else { return leaf("snapshotRoot", birth: 0, records) }
        let half = records.count / 2
        let leaves = [
            leaf("snapshotLeaf0", birth: 0, Array(records[..<half])),
            leaf("snapshotLeaf1", birth: 0, Array(records[half...])),
        ]
        return pivot("snapshotRoot", birth: 0, leaves, plan.snapshotMessages)
    }

    /// Puts pivots on top of a node, each with two pointers to the same child.
    private mutating func repeated(
        _ node: BlockPointer, _ levels: Int, around key: Key, _ name: String, birth: UInt64
    ) -> BlockPointer {
        var node = node
        for level in 0..<levels {
            let low = Child(key: Key(bytes: [0]), pointer: node, fill: 1)
            let high = Child(key: key, pointer: node, fill: 1)
            node = pivot("\(name) \(level)", birth: birth, [low, high], []).pointer
        }
        return node
    }

    private mutating func writeTrees() -> [UInt64: BlockPointer] {
        let a0Old = data("data a0 old", birth: 3)
        let shared = (1...2).map { data("data a\($0)", birth: 3) } + [data("data b0", birth: 3)]
        let a0 = data("data a0", birth: 5)
        func records(_ first: BlockPointer) -> [VolumePlan.Record] {
            [
                VolumePlan.data(10, 0, first),
                VolumePlan.data(10, Self.blockBytes, shared[0]),
                VolumePlan.data(10, 2 * Self.blockBytes, shared[1]),
                VolumePlan.data(11, 0, shared[2]),
            ]
        }
        let second = leaf("leaf1", birth: 3, plan.leaves[1])
        let third = leaf("leaf2", birth: 3, plan.leaves[2])
        let oldFirst = leaf("oldLeaf", birth: 3, records(a0Old) + plan.oldLeaf)
        let oldRoot = pivot("oldRoot", birth: 3, [oldFirst, second, third], []).pointer
        let first = leaf("leaf0", birth: 5, records(a0) + plan.leaves[0])
        let top = pivot("root", birth: 5, [first, second, third], plan.messages)
        var root = plan.repeatsLeaf ? second.pointer : top.pointer
        root = repeated(root, plan.repeatedLevels, around: plan.repeatedKey, "level", birth: 5)
        if plan.hasLoneChild { root = pivot("lonePivot", birth: 5, [top], []).pointer }
        let empty = leaf("emptyLeaf", birth: 0, plan.emptyLeaf)
        let admin = leaf("adminLeaf", birth: 0, plan.adminLeaf + users())
        return [0: empty.pointer, 1: admin.pointer, 3: oldRoot, 5: root, 6: writeFork()]
    }

    private mutating func users() -> [VolumePlan.Record] {
        guard let users = plan.users else { return [] }
        return [VolumePlan.data(2, 0, data(users, birth: 0))]
    }

    private mutating func writeFork() -> BlockPointer {
        if let root = plan.forkRoot { return pointers[root] ?? .none }
        guard let data = plan.forkData, let pointer = pointers[data] else { return .none }
        let records = [
            VolumePlan.data(10, 0, pointer), VolumePlan.file(0, "a", qid: 10, length: 100),
            VolumePlan.directory(.max, "", qid: 0), VolumePlan.up(0, to: .max, ""),
        ]
        return leaf("forkLeaf", birth: 6, records).pointer
    }

    private mutating func chain(_ name: String, _ entries: [String]) -> BlockPointer {
        let start = allocate(name)
        let entries = entries.map { address($0) }
        let tamper = plan.tamper[name]
        change(name) { base in
            var builder = ChainBlockBuilder(block: base)
            for entry in entries { _ = builder.append(entry) }
            builder.finish(kind: .deadlist)
            tamper?(base)
        }
        return Self.link(start)
    }

    private mutating func writeArenas(root: BlockPointer, pending: BlockPointer) {
        var references: [Superblock.ArenaReference] = []
        for arena in 0..<plan.arenaCount {
            let start = arenaStart(arena)
            addresses["header\(arena)"] = start - 2 * Self.blockBytes
            addresses["footer\(arena)"] = start - Self.blockBytes
            let usable = arenaBytes - 2 * Self.blockBytes
            var log: [LogEntry] = [
                .free(BlockAddress(rawValue: start), byteCount: usable),
                .allocate(BlockAddress(rawValue: start), byteCount: Self.blockBytes),
            ]
            for block in logged[arena] {
                log.append(.allocate(BlockAddress(rawValue: block), byteCount: Self.blockBytes))
            }
            log.append(.sync(plan.commit))
            rewriteLog(arena) { $0 = log }
            let header = ArenaHeader(
                logHead: BlockAddress(rawValue: start), logHash: 0, byteCount: arenaBytes,
                usedBytes: 0)
            var hash: UInt64 = 0
            for copy in ["header\(arena)", "footer\(arena)"] {
                change(copy) { base in
                    hash = header.encode(
                        into: UnsafeMutableRawBufferPointer(
                            start: base, count: Geometry.blockBytes))
                }
            }
            references.append(.init(address: address("header\(arena)"), hash: hash))
        }
        let superblock = Superblock(
            snapshotTreeHeight: UInt32(
                plan.repeatedSnapshotLevels + (plan.snapshotMessages.isEmpty ? 1 : 2)),
            snapshotTreeRoot: root,
            pendingHead: pending,
            pendingTail: pending, nextQid: plan.nextQid,
            nextGeneration: Generation(rawValue: plan.nextGeneration),
            commitGeneration: plan.commit, arenas: references)
        for copy in ["primary", "backup"] {
            change(copy) { base in
                superblock.encode(
                    into: UnsafeMutableRawBufferPointer(start: base, count: Geometry.blockBytes))
            }
        }
    }
}
