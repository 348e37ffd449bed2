import GefsFormat

/// The content of a volume that was just made.
///
/// Source: FORMAT 10.1 to 10.3 and 11.
struct FreshVolume {
    private static let adm = Generation(rawValue: 1)
    private static let main = Generation(rawValue: 2)
    private static let firstFreeNumber: UInt64 = 3
    private static let usersQid: UInt64 = 2
    private static let modeDirectory: UInt32 = 0o20_000_000_775
    private static let modePosixDirectory: UInt32 = 0o20_000_000_755
    private static let modeFile: UInt32 = 0o664
    private static let nobody: Int32 = -1
    private static let rootParent: UInt64 = .max
    private static let specialQids: UInt64 = 1 << 63

    let deviceBytes: UInt64
    let user: String
    let dialect: Dialect
    /// Arenas, where it is not the usual number.
    let arenaCount: Int?
    let features: FormatFeatures
    let owner: HostOwner
    private let pool = BlockBufferPool()

    init(
        deviceBytes: UInt64, user: String, dialect: Dialect, arenaCount: Int? = nil,
        features: FormatFeatures = [], owner: HostOwner = HostOwner(user: 0, group: 0)
    ) {
        self.features = features
        self.owner = owner
        self.arenaCount = arenaCount
        self.deviceBytes = deviceBytes
        self.user = user
        self.dialect = dialect
    }

    /// Everything but the superblocks, and the superblocks.
    func writes() -> (body: [StoreWrite], superblocks: [StoreWrite]) {
        let layout = DeviceLayout.arenasAtReam(
            deviceBytes: deviceBytes, arenaCount: arenaCount)
        var arenas = layout.addresses.map {
            FreshArena(address: BlockAddress(rawValue: $0), byteCount: layout.byteCount)
        }
        let mainRoot = arenas[0].highestFree(below: 0)
        let admRoot = arenas[0].highestFree(below: 1)
        let snapshots = arenas[0].highestFree(below: 2)
        let users = arenas[1].lowestFree
        arenas[0].allocated = [mainRoot, admRoot, snapshots]
        arenas[1].allocated = [users]

        var body: [StoreWrite] = []
        func add(_ buffer: BlockBuffer, at address: BlockAddress) -> BlockPointer {
            body.append(StoreWrite(at: address, buffer))
            return BlockPointer(
                address: address, hash: MetroHash64.hash(buffer.bytes), generation: .zero)
        }
        let usersPointer = add(usersBlock(), at: users)
        let mainPointer = add(mainLeaf(), at: mainRoot)
        let admPointer = add(admLeaf(users: usersPointer), at: admRoot)
        let snapshotPointer = add(
            snapshotLeaf(main: mainPointer, adm: admPointer), at: snapshots)

        var references: [Superblock.ArenaReference] = []
        for arena in arenas {
            let (hash, writes) = arena.writes(pool: pool)
            references.append(Superblock.ArenaReference(address: arena.address, hash: hash))
            body += writes
        }
        let superblock = Superblock(
            snapshotTreeHeight: 1, snapshotTreeRoot: snapshotPointer, features: features,
            nextQid: Self.firstFreeNumber,
            nextGeneration: Generation(rawValue: Self.firstFreeNumber), commitGeneration: 0,
            arenas: references)
        let block = pool.make()
        superblock.encode(into: block.mutableBytes)
        let backup = DeviceLayout.backupSuperblock(deviceBytes: deviceBytes)
        return (
            body,
            [
                StoreWrite(at: BlockAddress(rawValue: 0), block),
                StoreWrite(at: BlockAddress(rawValue: backup), block),
            ]
        )
    }

    private var usersText: [UInt8] {
        guard features.contains(.posix) else {
            return Array("-1:adm::\(user)\n0:none::\n1:\(user):\(user):\n".utf8)
        }
        // The host's numbers: Docs/FORMAT.md 12.6.
        var text = "-1:adm::\(user)\n\(Self.hostNobody):none::\n"
        let number = owner.user == Self.hostNobody ? Self.hostNobody + 1 : owner.user
        if number != 0, user != "root" { text += "0:root:root:\n" }
        text += "\(Int32(bitPattern: number)):\(user):\(user):\n"
        return Array(text.utf8)
    }

    private static let hostNobody: UInt32 = 65534

    private func usersBlock() -> BlockBuffer {
        let buffer = pool.make()
        buffer.clear()
        buffer.mutableBytes.copyBytes(from: usersText)
        return buffer
    }

    // MARK: Leaves

    private typealias Record = (key: Key, value: [UInt8])

    private func mainLeaf() -> BlockBuffer {
        guard features.contains(.posix) else { return leaf(rootRecords(qid: 0)) }
        let key = Key.entry(parent: Self.rootParent, name: [UInt8]())
        // Of the shorter kind, so that label empty never keeps the disk from losing the feature.
        let entry = DirectoryEntry(
            qidPath: 0, mode: Self.modePosixDirectory, uid: Int32(bitPattern: owner.user),
            gid: Int32(bitPattern: owner.group), muid: 0)
        return leaf([(key, entry.encoded()), (.up(0), key.bytes)])
    }

    private func admLeaf(users: BlockPointer) -> BlockBuffer {
        let root = Self.adm.rawValue
        var records = rootRecords(qid: root)
        records.append((.data(Self.usersQid, offset: 0), pointerBytes(users)))
        records.append(
            file("users", qid: Self.usersQid, byteCount: usersText.count, in: root))
        if dialect == .n {
            records.append(file("ctl", qid: Self.specialQids | 1, byteCount: 0, in: root))
            records.append(file("status", qid: Self.specialQids | 2, byteCount: 0, in: root))
        }
        return leaf(records)
    }

    private func snapshotLeaf(main: BlockPointer, adm: BlockPointer) -> BlockBuffer {
        let origin: Generation = dialect == .n ? .none : .zero
        let mutable = LabelRecord.flagMutable
        let empty = SnapshotRecord(
            referenceCount: 2, labelCount: 1, height: 1, generation: .zero, predecessor: origin,
            successor: dialect == .n ? .none : Self.main, base: origin, root: main)
        let admin = SnapshotRecord(
            referenceCount: 0, labelCount: 1, height: 1, generation: Self.adm,
            predecessor: origin, base: .zero, root: adm)
        let first = SnapshotRecord(
            referenceCount: 0, labelCount: 1, height: 1, generation: Self.main,
            predecessor: origin, base: .zero, root: main)
        return leaf([
            (.label("adm".utf8), LabelRecord(generation: Self.adm, flags: mutable).encoded()),
            (.label("empty".utf8), LabelRecord(generation: .zero, flags: 0).encoded()),
            (.label("main".utf8), LabelRecord(generation: Self.main, flags: mutable).encoded()),
            (.snapshot(.zero), empty.encoded()),
            (.snapshot(Self.adm), admin.encoded()),
            (.snapshot(Self.main), first.encoded()),
        ])
    }

    /// A root directory: its entry and its way up.
    private func rootRecords(qid: UInt64) -> [Record] {
        let key = Key.entry(parent: Self.rootParent, name: [UInt8]())
        let entry = DirectoryEntry(
            qidPath: qid, mode: Self.modeDirectory, uid: Self.nobody, gid: Self.nobody, muid: 0)
        return [(key, entry.encoded()), (.up(qid), key.bytes)]
    }

    private func file(
        _ name: String, qid: UInt64, byteCount: Int, in directory: UInt64
    ) -> Record {
        let entry = DirectoryEntry(
            qidPath: qid, mode: Self.modeFile, length: Int64(byteCount), uid: Self.nobody,
            gid: Self.nobody, muid: 0)
        return (.entry(parent: directory, name: name.utf8), entry.encoded())
    }

    private func pointerBytes(_ pointer: BlockPointer) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: BlockPointer.byteCount) { buffer, count in
            guard let start = buffer.baseAddress else { return }
            pointer.encode(into: UnsafeMutableRawPointer(start))
            count = BlockPointer.byteCount
        }
    }

    private func leaf(_ records: [Record]) -> BlockBuffer {
        let buffer = pool.make()
        var builder = LeafBuilder(block: buffer.base)
        for record in records.sorted(by: { $0.key < $1.key }) {
            record.key.withBytes { key in
                record.value.withUnsafeBytes { builder.append(key: key, value: $0) }
            }
        }
        builder.finish()
        return buffer
    }
}
