import GefsEngine

/// What is in each label of a volume but in the file system's own.
package struct HistoryState: Equatable {
    /// Labels that follow writes.
    package var branches: [String: FileModel]
    /// Labels that never change.
    package var snapshots: [String: FileModel]

    package init(branches: [String: FileModel] = [:], snapshots: [String: FileModel] = [:]) {
        self.branches = branches
        self.snapshots = snapshots
    }

    /// What a volume has, read file by file.
    package init(of volume: some VolumeUser) throws {
        self.init()
        let present = volume.label
        defer { volume.label = present }
        for info in try volume.fileSystem.labels() {
            let name = String(decoding: info.name, as: UTF8.self)
            guard name != "adm", name != "empty" else { continue }
            volume.label = name
            let model = try FileModel(of: volume)
            if info.isMutable { branches[name] = model } else { snapshots[name] = model }
        }
    }

    /// Labels of both kinds.
    package var labels: [String: FileModel] { branches.merging(snapshots) { $1 } }

    /// The first difference, in words; nil where there is none.
    package func difference(from other: HistoryState) -> String? {
        for (mine, theirs) in [(branches, other.branches), (snapshots, other.snapshots)] {
            for (name, model) in mine.sorted(by: { $0.key < $1.key }) {
                guard let found = theirs[name] else { return "label \(name) is missing" }
                if let difference = model.difference(from: found) { return "\(name)/\(difference)" }
            }
            if let name = theirs.keys.sorted().first(where: { mine[$0] == nil }) {
                return "label \(name) is too much"
            }
        }
        return nil
    }
}

/// Random histories: changes of files in several branches, snapshots, forks of forks, deletions in
/// any order, roll-backs; on a volume and on a model of it.
package struct HistoryWorkload {
    /// What is in each label.
    package typealias State = [String: FileModel]

    package var files: RandomWorkload
    private var generator: SeededGenerator
    package private(set) var present = HistoryState(branches: ["main": FileModel()])
    private var nextLabel = 0
    /// Changes of files that one step makes.
    package var changesPerStep = 1...6
    /// How often a call has returned that makes everything before it durable.
    package private(set) var commitCount = 0

    package var branches: State { present.branches }
    package var snapshots: State { present.snapshots }
    package var labels: State { present.labels }

    package init(seed: UInt64) {
        files = RandomWorkload(seed: seed)
        generator = SeededGenerator(seed: seed &+ 1)
    }

    /// Goes on from a state that a volume was found in.
    ///
    /// - Parameter round: tells the names of new files and labels from those of other rounds.
    package init(seed: UInt64, from state: HistoryState, round: Int) {
        self.init(seed: seed)
        present = state
        files.namePrefix = String(repeating: "o", count: round) + "n"
        nextLabel = round * 1_000_000
    }

    /// Takes over what the volume has, after a step that was refused half way.
    package mutating func reload(_ volume: some VolumeUser) throws {
        present = try HistoryState(of: volume)
        present.branches["ballast"] = nil
        present.snapshots["ballast"] = nil
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
    package mutating func makeFiles(_ count: Int, on volume: some VolumeUser) throws {
        try edit("main", on: volume) { files in
            for index in 0..<count {
                let path = "file-with-a-name-of-some-length-\(index)"
                let content = [UInt8](repeating: UInt8(truncatingIfNeeded: index), count: 100)
                try files.makeFile(path, on: volume)
                try files.write(path, content, at: 0, on: volume)
            }
        }
    }

    /// One operation on both.
    package mutating func step(_ volume: some VolumeUser) throws {
        switch Int.random(in: 0..<24, using: &generator) {
        case 0..<14: try changeFiles(volume)
        case 14..<17:
            guard let source = pick(labels) else { return }
            try takeSnapshot(of: source, as: newLabel("snap"), on: volume)
        case 17:
            guard branches.count < 6, let source = pick(labels) else { return }
            try fork(source, as: newLabel("fork"), on: volume)
        case 18..<21:
            // Some at once, so that one commit drops several.
            var names: [String] = []
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                guard labels.count - names.count > 1, let name = pick(labels),
                    !names.contains(name)
                else { continue }
                names.append(name)
            }
            try delete(names, on: volume)
        case 21:
            guard let name = pick(labels) else { return }
            try rename(name, to: newLabel("renamed"), on: volume)
        case 22:
            guard let branch = pick(branches), let target = pick(labels) else { return }
            let keeps = Bool.random(using: &generator)
            let name = newLabel("left")
            try rollBack(branch, to: target, keeping: keeps ? name : nil, on: volume)
        default: try sync(volume)
        }
    }

    /// Some random changes of files in one branch.
    package mutating func changeFiles(_ volume: some VolumeUser) throws {
        guard let branch = pick(branches) else { return }
        let count = Int.random(in: changesPerStep, using: &generator)
        try edit(branch, on: volume) { files in
            for _ in 0..<count {
                try files.step(volume)
                try volume.settle()
            }
        }
    }

    /// Changes of files in one branch, on both.
    package mutating func edit(
        _ branch: String, on volume: some VolumeUser, _ body: (inout RandomWorkload) throws -> Void
    ) throws {
        guard let model = branches[branch] else { return }
        volume.label = branch
        files.model = model
        defer { present.branches[branch] = files.model }
        try body(&files)
    }

    package mutating func takeSnapshot(
        of source: String, as name: String, on volume: some VolumeUser
    ) throws {
        try volume.change(.snapshot(of: Array(source.utf8), as: Array(name.utf8)))
        present.snapshots[name] = labels[source]
        commitCount += 1
    }

    package mutating func fork(
        _ source: String, as name: String, on volume: some VolumeUser
    ) throws {
        try volume.change(.fork(of: Array(source.utf8), as: Array(name.utf8)))
        present.branches[name] = labels[source]
        commitCount += 1
    }

    package mutating func delete(_ names: [String], on volume: some VolumeUser) throws {
        guard !names.isEmpty else { return }
        try volume.change(names.map { .delete(Array($0.utf8)) })
        for name in names {
            present.branches[name] = nil
            present.snapshots[name] = nil
        }
        commitCount += 1
    }

    package mutating func rename(
        _ name: String, to new: String, on volume: some VolumeUser
    ) throws {
        try volume.change(.rename(Array(name.utf8), to: Array(new.utf8)))
        if let model = present.branches.removeValue(forKey: name) { present.branches[new] = model }
        if let model = present.snapshots.removeValue(forKey: name) {
            present.snapshots[new] = model
        }
        commitCount += 1
    }

    package mutating func rollBack(
        _ branch: String, to target: String, keeping name: String?, on volume: some VolumeUser
    ) throws {
        try volume.change(
            .rollback(
                branch: Array(branch.utf8), to: Array(target.utf8),
                keeping: name.map { Array($0.utf8) }))
        let left = branches[branch]
        present.branches[branch] = labels[target]
        if let name { present.snapshots[name] = left }
        commitCount += 1
    }

    package mutating func sync(_ volume: some VolumeUser) throws {
        try volume.sync()
        commitCount += 1
    }
}
