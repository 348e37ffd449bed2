import GefsEngine

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A label: a branch that follows writes, or a snapshot that does not.
public struct LabelReport: Report {
    public static var type: String { "label" }

    public var name: String
    /// The name in hexadecimal where it is no UTF-8.
    public var nameBytes: String?
    public var generation: UInt64
    public var mutable: Bool
    /// When it was made; absent where the disk does not say.
    public var time: String?
    /// Bytes that its tree refers to; absent where sizes were not asked for.
    public var referenced: UInt64?
    /// Bytes that deleting this label alone would free.
    public var exclusive: UInt64?

    init(_ label: LabelInfo) {
        name = String(decoding: label.name, as: UTF8.self)
        generation = label.generation
        mutable = label.isMutable
        time = label.time.map {
            Date(timeIntervalSince1970: Double($0 / 1_000_000_000)).ISO8601Format()
        }
        if Array(name.utf8) != label.name {
            nameBytes = label.name.map { byte in
                (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }.joined()
        }
    }

    init(_ space: LabelSpace) {
        self.init(space.label)
        referenced = space.referencedBytes
        exclusive = space.exclusiveBytes
    }

    /// The name as commands take it, whatever bytes it has.
    public var operand: String {
        guard let nameBytes else { return name }
        let digits = Array(nameBytes)
        return ByteText.string(
            stride(from: 0, to: digits.count - 1, by: 2).compactMap { index in
                UInt8(String(digits[index...index + 1]), radix: 16)
            })
    }

    /// One line, for the console.
    func text(_ size: (UInt64) -> String) -> String {
        var text = mutable ? "\(name) [mutable]" : name
        if let time { text += "  \(time)" }
        if let referenced { text += "  refers to \(size(referenced))" }
        if let exclusive { text += ", \(size(exclusive)) only here" }
        return text
    }
}

/// What deleting a set of labels would free.
public struct DeletionReport: Report {
    public static var type: String { "deletion" }

    /// The labels, as asked for or proposed.
    public var labels: [LabelReport]
    /// Bytes of trees and files that nothing else holds.
    public var freed: UInt64
    /// Bytes of the disk's own lists that become free with them, more or less.
    public var lists: UInt64
    /// Snapshots that go. Labels that others name, or that forks began with, stay on the disk.
    public var snapshots: Int

    init(_ space: DeletionSpace) {
        labels = space.labels.map { LabelReport($0) }
        freed = space.freedBytes
        lists = space.listBytes
        snapshots = space.droppedSnapshots
    }

    func text(_ size: (UInt64) -> String) -> [String] {
        labels.map { label in
            let time = label.time.map { "  \($0)" } ?? ""
            return "  \(label.name)\(time)"
        } + [
            "would delete \(labels.count) \(labels.count == 1 ? "label" : "labels") "
                + "and free \(size(freed))"
        ]
    }
}

/// What holds the space of a volume; everything in bytes. All parts together are the size.
public struct SpaceUseReport: Report {
    public static var type: String { "spaceUse" }

    public struct Share: Codable, Sendable {
        public var label: String
        public var bytes: UInt64
    }

    public var size: UInt64
    public var branches: [Share]
    public var snapshots: [Share]
    public var sharedBySnapshots: UInt64
    public var awaitingClear: UInt64
    public var deletedSnapshots: UInt64
    public var pendingFrees: UInt64
    public var deadlists: UInt64
    public var snapshotTree: UInt64
    public var logs: UInt64
    public var unusable: UInt64
    public var notCommitted: UInt64
    public var unaccounted: UInt64
    public var overlap: UInt64
    public var reserve: UInt64
    public var free: UInt64

    init(_ space: SpaceExplanation) {
        func shares(_ all: [SpaceExplanation.Share]) -> [Share] {
            all.map { Share(label: String(decoding: $0.label, as: UTF8.self), bytes: $0.byteCount) }
        }
        size = space.size
        branches = shares(space.branches)
        snapshots = shares(space.snapshots)
        sharedBySnapshots = space.sharedBySnapshots
        awaitingClear = space.awaitingClear
        deletedSnapshots = space.deletedSnapshots
        pendingFrees = space.pendingFrees
        deadlists = space.deadlists
        snapshotTree = space.snapshotTree
        logs = space.logs
        unusable = space.unusable
        notCommitted = space.notCommitted
        unaccounted = space.unaccounted
        overlap = space.overlap
        reserve = space.reserve
        free = space.free
    }

    /// Labels that are shown each; the others are put together.
    private static let sharesMax = 20

    func text(_ size: (UInt64) -> String) -> [String] {
        var table = TextTable([.right, .left])
        func add(_ shares: [Share], _ what: String, _ others: String) {
            let largest = shares.sorted { ($1.bytes, $0.label) < ($0.bytes, $1.label) }
            for share in largest.prefix(Self.sharesMax) {
                table.append([size(share.bytes), "\(what) \(share.label)"])
            }
            let rest = largest.dropFirst(Self.sharesMax)
            if !rest.isEmpty {
                let sum = rest.reduce(0) { $0 + $1.bytes }
                table.append([size(sum), "\(rest.count) other \(others)"])
            }
        }
        add(branches, "branch", "branches")
        add(snapshots, "only in snapshot", "snapshots, each alone")
        let parts: [(UInt64, String)] = [
            (sharedBySnapshots, "in several snapshots, but in no branch"),
            (awaitingClear, "data of removed files, still to be cleared"),
            (deletedSnapshots, "deleted snapshots, still to be taken apart"),
            (pendingFrees, "free after the next commits"),
            (notCommitted, "written since the last commit"),
            (deadlists, "lists of what snapshots hold"),
            (snapshotTree, "labels and snapshots themselves"),
            (logs, "allocation logs"),
            (unusable, "ends of arenas, never used"),
            (unaccounted, "lost: nothing refers to it; gefs check --repair gets it back"),
        ]
        for (bytes, what) in parts where bytes > 0 { table.append([size(bytes), what]) }
        if overlap > 0 { table.append(["-" + size(overlap), "counted twice: run gefs check"]) }
        table.append([size(reserve), "reserve, for deletions and commits"])
        table.append([size(free), "free"])
        table.append([size(self.size), "size"])
        return table.lines()
    }
}
