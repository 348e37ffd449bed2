import GefsCrash
import GefsFormat
import Testing

@testable import GefsEngine

/// Random changes of two branches, snapshots and syncs, one at a time; knows which states a disk may
/// have that stopped at any point.
struct FaultWorkload {
    typealias State = [String: FileModel]

    private var files: RandomWorkload
    private var generator: SeededGenerator
    private var nextLabel = 0
    /// What every label holds.
    private(set) var present: State = ["main": FileModel()]
    /// All states since the last acknowledged commit, oldest first.
    private(set) var states: [State] = [["main": FileModel()]]
    /// What the operation under way leads to where it changes labels.
    private(set) var attempted: State?

    init(seed: UInt64) {
        files = RandomWorkload(seed: seed)
        generator = SeededGenerator(seed: seed &+ 1)
    }

    /// States that the disk may be found in: an operation that failed may yet have become durable.
    var allowed: [State] { states + [attempted].compactMap { $0 } }

    /// A second branch with something in it, and a first snapshot.
    mutating func begin(_ volume: TestVolume) throws {
        for _ in 0..<40 { try changeFiles(volume) }
        try changeLabels(volume, .fork(of: Self.bytes("main"), as: Self.bytes("work"))) {
            $0["work"] = $0["main"]
        }
        try snapshot(volume)
    }

    /// One operation. When it throws, nothing has changed, but for `attempted`.
    mutating func step(_ volume: TestVolume) throws {
        attempted = nil
        switch Int.random(in: 0..<40, using: &generator) {
        case 0..<34: try changeFiles(volume)
        case 34: try snapshot(volume)
        case 35: try deleteSnapshot(volume)
        case 36: volume.fileSystem.volume.requestFlush()
        default:
            try volume.sync()
            states = [present]
        }
    }

    private mutating func changeFiles(_ volume: TestVolume) throws {
        let branches = ["main", "work"].filter { present[$0] != nil }
        guard let branch = branches.randomElement(using: &generator), let model = present[branch]
        else { return }
        volume.label = branch
        files.model = model
        try files.step(volume)
        present[branch] = files.model
        states.append(present)
    }

    private mutating func snapshot(_ volume: TestVolume) throws {
        let source = Bool.random(using: &generator) && present["work"] != nil ? "work" : "main"
        nextLabel += 1
        let name = "snap\(nextLabel)"
        try changeLabels(volume, .snapshot(of: Self.bytes(source), as: Self.bytes(name))) {
            $0[name] = $0[source]
        }
    }

    private mutating func deleteSnapshot(_ volume: TestVolume) throws {
        let names = present.keys.filter { $0.hasPrefix("snap") }.sorted()
        guard let name = names.randomElement(using: &generator) else { return }
        try changeLabels(volume, .delete(Self.bytes(name))) { $0[name] = nil }
    }

    private mutating func changeLabels(
        _ volume: TestVolume, _ change: HistoryChange, _ edit: (inout State) -> Void
    ) throws {
        var next = present
        edit(&next)
        attempted = next
        try volume.change(change)
        attempted = nil
        present = next
        states = [next]
    }

    static func bytes(_ name: String) -> [UInt8] { Array(name.utf8) }
}
