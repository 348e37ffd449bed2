import GefsFormat

@testable import GefsEngine

/// What a small volume is to hold; tests change it before it is written.
///
/// Files of `main`, generation 5: the root (qid 0) with `a` (10, three blocks), `b` (11, one
/// block), `new` (15, empty, only in a message) and `dir` (12), in which is `sub` (13), in which
/// is `x` (14). Generation 3, labelled `old`, is its predecessor and shares all but the first leaf.
struct VolumePlan {
    typealias Record = (key: Key, value: [UInt8])
    typealias Message = (kind: MessageKind, key: Key, payload: [UInt8])

    static let blockBytes = UInt64(Geometry.blockBytes)

    var arenaBlocks = 64
    var arenaCount = 2
    var nextQid: UInt64 = 20
    var nextGeneration: UInt64 = 7
    var commit: UInt64 = 10

    /// Leaves of generation 5.
    var leaves: [[Record]]
    /// First leaf of generation 3; the others are shared.
    var oldLeaf: [Record]
    /// Messages in the root of generation 5.
    var messages: [Message]
    /// Leaves of generations 0 and 1.
    var emptyLeaf: [Record]
    var adminLeaf: [Record]
    /// What is in the users file.
    var users: String? {
        didSet {
            let count = users.map { UInt64($0.utf8.count) } ?? 0
            adminLeaf[0] = Self.file(1, "users", qid: 2, length: count)
        }
    }
    var labels: [Record]
    /// Snapshot records without their roots.
    var snapshots: [SnapshotRecord]
    /// Levels put on top of generation 5, each a pivot with two pointers to the same child.
    var repeatedLevels = 0
    /// Where the second of those pointers begins.
    var repeatedKey = Key.up(.max)
    /// Whether the child of the lowest of them is the second leaf, and not the root.
    var repeatsLeaf = false
    /// The same on top of the snapshot tree.
    var repeatedSnapshotLevels = 0
    /// Whether a pivot with nothing but the root below it is put on top of generation 5.
    var hasLoneChild = false
    /// Messages in the root of the snapshot tree; without any that is a leaf.
    var snapshotMessages: [Message] = []
    /// What is done to each block before it is hashed, by its name.
    var tamper: [String: (UnsafeMutableRawPointer) -> Void] = [:]
    /// The data at the start of file 10 in generation 6, or its whole tree: names of blocks.
    private(set) var forkData: String?
    private(set) var forkRoot: String?
    /// Deadlists besides (5, 3), and what is on them: names of blocks, or numbers as addresses.
    var deadlists: [(generation: UInt64, birth: UInt64, entries: [String])] = [
        (5, 3, ["oldRoot", "oldLeaf", "data a0 old"])
    ]
    /// Names of blocks to be handed over in the superblock.
    var pending: [String] = []
    /// Blocks allocated and used by nothing, `leak0` and so on.
    var leakedCount = 0
    /// Names of blocks that the log does not allocate.
    var unlogged: Set<String> = []

    init() {
        leaves = [
            [],  // data: filled in when the blocks have addresses
            [
                Self.file(0, "a", qid: 10, length: 3 * Self.blockBytes - 5),
                Self.file(0, "b", qid: 11, length: 100),
                Self.directory(0, "dir", qid: 12),
                Self.directory(12, "sub", qid: 13),
                Self.file(13, "x", qid: 14, length: 0),
                Self.directory(.max, "", qid: 0),
            ],
            [
                Self.up(0, to: .max, ""), Self.up(12, to: 0, "dir"), Self.up(13, to: 12, "sub"),
                (.config(Array("retain".utf8)), Array("7d".utf8)),
            ],
        ]
        oldLeaf = []
        messages = [
            // A touch, and a new file.
            (.wstat, .entry(parent: 0, name: "a".utf8), [0]),
            (
                .insert, .entry(parent: 0, name: "new".utf8),
                Self.file(0, "new", qid: 15, length: 0).value
            ),
        ]
        emptyLeaf = [Self.directory(.max, "", qid: 0), Self.up(0, to: .max, "")]
        adminLeaf = [
            Self.file(1, "users", qid: 2, length: 0), Self.directory(.max, "", qid: 1),
            Self.up(1, to: .max, ""),
        ]
        labels = [
            Self.label("adm", 1, isMutable: true), Self.label("empty", 0),
            Self.label("main", 5, isMutable: true), Self.label("old", 3),
        ]
        snapshots = [
            Self.snapshot(0, references: 2, height: 1, predecessor: 0, successor: 3),
            Self.snapshot(1, references: 0, height: 1, predecessor: 0),
            Self.snapshot(3, references: 1, height: 2, predecessor: 0, successor: 5),
            Self.snapshot(5, references: 0, height: 2, predecessor: 3),
        ]
    }

    // MARK: records

    static func file(_ parent: UInt64, _ name: String, qid: UInt64, length: UInt64) -> Record {
        let entry = DirectoryEntry(
            qidPath: qid, mode: 0o664, length: Int64(length), uid: 1, gid: 1, muid: 1)
        return (.entry(parent: parent, name: name.utf8), entry.encoded())
    }

    static func directory(_ parent: UInt64, _ name: String, qid: UInt64) -> Record {
        let entry = DirectoryEntry(
            qidPath: qid, mode: DirectoryEntry.modeDirectory | 0o775, uid: 1, gid: 1, muid: 1)
        return (.entry(parent: parent, name: name.utf8), entry.encoded())
    }

    static func up(_ qid: UInt64, to parent: UInt64, _ name: String) -> Record {
        (.up(qid), Key.entry(parent: parent, name: name.utf8).bytes)
    }

    static func data(_ qid: UInt64, _ offset: UInt64, _ pointer: BlockPointer) -> Record {
        var value = [UInt8](repeating: 0, count: BlockPointer.byteCount)
        value.withUnsafeMutableBytes { bytes in
            if let base = bytes.baseAddress { pointer.encode(into: base) }
        }
        return (.data(qid, offset: offset), value)
    }

    static func label(_ name: String, _ generation: UInt64, isMutable: Bool = false) -> Record {
        let record = LabelRecord(
            generation: Generation(rawValue: generation),
            flags: isMutable ? LabelRecord.flagMutable : 0)
        return (.label(name.utf8), record.encoded())
    }

    static func snapshot(
        _ generation: UInt64, references: UInt32, height: UInt32, predecessor: UInt64,
        successor: UInt64 = .max
    ) -> SnapshotRecord {
        SnapshotRecord(
            referenceCount: references, labelCount: 1, height: height,
            generation: Generation(rawValue: generation),
            predecessor: Generation(rawValue: predecessor),
            successor: Generation(rawValue: successor), base: .zero, root: .none)
    }

    /// Adds generation 6, a fork with one leaf, in which file 10 has a block of another one.
    mutating func addFork(of base: UInt64, holding data: String) {
        addFork(of: base, height: 1)
        forkData = data
    }

    /// Adds generation 6, a fork with the tree of another one.
    mutating func addFork(of base: UInt64, root: String, height: UInt32) {
        addFork(of: base, height: height)
        forkRoot = root
    }

    private mutating func addFork(of base: UInt64, height: UInt32) {
        var record = Self.snapshot(6, references: 0, height: height, predecessor: base)
        record.base = record.predecessor
        snapshots.append(record)
        labels.append(Self.label("fork", 6, isMutable: true))
        snapshots[place(base)].referenceCount += 1
    }

    /// The place in `snapshots` of a generation.
    func place(_ generation: UInt64) -> Int {
        snapshots.firstIndex { $0.generation.rawValue == generation } ?? 0
    }
}
