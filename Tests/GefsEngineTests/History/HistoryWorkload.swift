import GefsFormat
import Testing

@testable import GefsEngine

/// Random histories: changes of files in several branches, snapshots, forks of forks, deletions in
/// any order, roll-backs; on a volume and on a model of it.
struct HistoryWorkload {
    /// What is in each label.
    typealias State = [String: FileModel]

    private var files: RandomWorkload
    private var generator: SeededGenerator
    private(set) var branches: State = ["main": FileModel()]
    private(set) var snapshots: State = [:]
    private var nextLabel = 0
    /// Changes of files that one step makes.
    var changesPerStep = 1...6

    var labels: State { branches.merging(snapshots) { $1 } }

    init(seed: UInt64) {
        files = RandomWorkload(seed: seed)
        generator = SeededGenerator(seed: seed &+ 1)
    }

    /// Takes over what the volume has, after a step that was refused half way.
    mutating func reload(_ volume: TestVolume) throws {
        var found = try volume.state()
        found["ballast"] = nil
        let mutable = Set(try volume.fileSystem.labels().filter(\.isMutable).map(\.name))
        branches = found.filter { mutable.contains(Array($0.key.utf8)) }
        snapshots = found.filter { !mutable.contains(Array($0.key.utf8)) }
        nextLabel += 1
    }

    private mutating func pick(_ state: State) -> String? {
        state.keys.sorted().randomElement(using: &generator)
    }

    private mutating func newLabel(_ kind: String) -> String {
        nextLabel += 1
        return "\(kind)\(nextLabel)"
    }

    /// So many small files in `main`.
    mutating func makeFiles(_ count: Int, on volume: TestVolume) throws {
        volume.label = "main"
        for index in 0..<count {
            let path = "file-with-a-name-of-some-length-\(index)"
            let content = [UInt8](repeating: UInt8(truncatingIfNeeded: index), count: 100)
            try volume.makeFile(path, content)
            branches["main"]?.items[path] = .file(content)
        }
    }

    /// One operation on both.
    mutating func step(_ volume: TestVolume) throws {
        switch Int.random(in: 0..<24, using: &generator) {
        case 0..<14: try changeFiles(volume)
        case 14..<17:
            guard let source = pick(labels) else { return }
            let name = newLabel("snap")
            try volume.change(.snapshot(of: Array(source.utf8), as: Array(name.utf8)))
            snapshots[name] = labels[source]
        case 17:
            guard branches.count < 6, let source = pick(labels) else { return }
            let name = newLabel("fork")
            try volume.change(.fork(of: Array(source.utf8), as: Array(name.utf8)))
            branches[name] = labels[source]
        case 18..<21: try delete(volume)
        case 21:
            guard let name = pick(labels) else { return }
            let new = newLabel("renamed")
            try volume.change(.rename(Array(name.utf8), to: Array(new.utf8)))
            if let model = branches.removeValue(forKey: name) { branches[new] = model }
            if let model = snapshots.removeValue(forKey: name) { snapshots[new] = model }
        case 22: try rollBack(volume)
        default: try volume.sync()
        }
    }

    private mutating func changeFiles(_ volume: TestVolume) throws {
        guard let branch = pick(branches), let model = branches[branch] else { return }
        volume.label = branch
        files.model = model
        defer { branches[branch] = files.model }
        for _ in 0..<Int.random(in: changesPerStep, using: &generator) { try files.step(volume) }
    }

    private mutating func delete(_ volume: TestVolume) throws {
        // Some at once, so that one commit drops several.
        var names: [String] = []
        for _ in 0..<Int.random(in: 1...3, using: &generator) {
            guard labels.count - names.count > 1, let name = pick(labels), !names.contains(name)
            else { continue }
            names.append(name)
        }
        try volume.change(names.map { .delete(Array($0.utf8)) })
        for name in names {
            branches[name] = nil
            snapshots[name] = nil
        }
    }

    private mutating func rollBack(_ volume: TestVolume) throws {
        guard let branch = pick(branches), let target = pick(labels) else { return }
        let keeps = Bool.random(using: &generator)
        let name = newLabel("left")
        try volume.change(
            .rollback(
                branch: Array(branch.utf8), to: Array(target.utf8),
                keeping: keeps ? Array(name.utf8) : nil))
        let left = branches[branch]
        branches[branch] = labels[target]
        if keeps { snapshots[name] = left }
    }
}

extension TestVolume {
    func change(_ changes: HistoryChange...) throws { try change(changes) }

    func change(_ changes: [HistoryChange]) throws {
        try fileSystem.change(changes, as: caller)
    }

    /// What is in every label but the file system's own.
    func state() throws -> HistoryWorkload.State {
        var state: HistoryWorkload.State = [:]
        let present = label
        defer { label = present }
        for info in try fileSystem.labels() {
            let name = String(decoding: info.name, as: UTF8.self)
            guard name != "adm", name != "empty" else { continue }
            label = name
            state[name] = try FileModel(of: self)
        }
        return state
    }
}
