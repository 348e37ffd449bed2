import GefsEngine
import GefsFormat

/// What a run came to.
public struct StressReport: Sendable {
    public var steps = 0
    /// Changes that were refused because the volume is full.
    public var refusals = 0
    public var campaigns = 0
    /// Times that the last commit was opened as a crash would leave it.
    public var stops = 0
    /// Times that `df` was put to the test.
    public var measurements = 0
    /// Dead blocks that a stop or a close on a full disk could not note, and repair has found.
    public var unnoted = 0

    static func += (left: inout StressReport, right: StressReport) {
        left.steps += right.steps
        left.refusals += right.refusals
        left.campaigns += right.campaigns
        left.stops += right.stops
        left.measurements += right.measurements
        left.unnoted += right.unnoted
    }
}

/// Something that must never happen, with what replays it.
public struct StressFailure: Error, CustomStringConvertible {
    public var profile: String
    public var seed: UInt64
    public var step: Int
    public var text: String

    public var description: String { "\(profile), seed \(seed), step \(step): \(text)" }
}

/// One volume that is full or nearly so all the time, and a model of it.
///
/// What has to hold: a change that finds no room is refused and changes nothing; removals, truncations,
/// deletions of labels, syncs and closing always work; what is freed is there after a commit; and what
/// `df` calls available can be written. Equal seeds make equal runs, but for the threads of the volume.
public final class FullDiskStress {
    static let block = 16384
    static let ballast = "ballast"
    private static let filesMax = 3000

    let volume: StressVolume
    let profile: StressProfile
    let seed: UInt64
    var generator: SeededGenerator
    /// The branches that change, and the snapshots.
    var branches: [String: StressTree] = ["main": StressTree()]
    var snapshots: [String: StressTree] = [:]
    /// Blocks of the file that takes whatever is left, in a branch of its own.
    var ballastBlocks = 0
    var report = StressReport()
    private var nextName = 0

    init(profile: StressProfile, seed: UInt64) throws {
        self.profile = profile
        self.seed = seed
        generator = SeededGenerator(seed: seed)
        volume = try StressVolume(features: profile.features)
        try volume.change(.fork(of: Array("empty".utf8), as: Array(Self.ballast.utf8)))
        try volume.make("b", in: Self.ballast, isDirectory: false)
    }

    /// Runs campaigns of the profiles in turn until so many steps are done.
    ///
    /// - Parameters:
    ///   - progress: called after each campaign with all that was done so far.
    public static func run(
        steps: Int, seed: UInt64, campaignSteps: Int = 20_000,
        profiles: [StressProfile] = StressProfile.all,
        progress: (StressReport, StressProfile) -> Void = { _, _ in }
    ) throws -> StressReport {
        var total = StressReport()
        while total.steps < steps {
            let number = total.campaigns
            let profile = profiles[number % profiles.count]
            let campaign = try FullDiskStress(
                profile: profile, seed: seed &+ UInt64(number))
            try campaign.perform(min(campaignSteps, steps - total.steps))
            total += campaign.report
            progress(total, profile)
        }
        return total
    }

    func perform(_ steps: Int) throws {
        report.campaigns = 1
        do {
            // Something to work with before the rest is taken.
            for _ in 0..<min(200, steps / 10) { try step() }
            try fill()
            while report.steps < steps { try step() }
            try verify()
            try finish()
        } catch let error as FileError {
            throw failure("\(error)")
        }
    }

    func failure(_ text: String) -> StressFailure {
        StressFailure(profile: profile.name, seed: seed, step: report.steps, text: text)
    }

    // MARK: Steps

    private func step() throws {
        report.steps += 1
        let operation = profile.pick(&generator)
        do {
            try perform(operation)
        } catch let error as FileError {
            throw failure("\(operation): \(error)")
        }
        if let failure = volume.fileSystem.failure {
            throw self.failure("\(operation): the volume refuses changes: \(failure)")
        }
        if report.steps % 4000 == 0 { try verify() }
    }

    private func perform(_ operation: StressProfile.Operation) throws {
        switch operation {
        case .makeTiny: try make(count: 1)
        case .makeFile: try make(count: Int.random(in: 0...60_000, using: &generator))
        case .makeDirectory: try makeDirectory()
        case .write: try write(appends: false)
        case .append: try write(appends: true)
        case .truncate: try truncate()
        case .punch: try punch()
        case .link: try link()
        case .setAttribute: try setAttribute()
        case .removeAttribute: try removeAttribute()
        case .remove: try remove()
        case .removeDirectory: try removeDirectory()
        case .rename: try rename()
        case .snapshot: try label(limit: snapshots.count < 40) { .snapshot(of: $0, as: $1) }
        case .fork:
            try label(limit: branches.count <= profile.branchesMax) { .fork(of: $0, as: $1) }
        case .rollback: try rollBack()
        case .deleteLabel: try deleteLabel()
        case .sync: try volume.sync()
        case .fill: try fill()
        case .release: try release()
        case .fillWithTiny: try fillWithTiny()
        case .measure: try measure()
        case .reopen: try volume.reopen()
        case .stopAndCheck: try stopAndCheck()
        case .repair: try repair()
        }
    }

    /// Does what may be refused where the volume is full; returns whether it was done.
    func attempt(_ body: () throws(FileError) -> Void) throws(FileError) -> Bool {
        do throws(FileError) {
            try body()
            return true
        } catch .volumeFull {
            report.refusals += 1
            return false
        }
    }

    private func name() -> String {
        nextName += 1
        let length = Int.random(in: 0..<40, using: &generator)
        return "n\(nextName)" + String(repeating: "x", count: length)
    }

    func bytes(_ count: Int) -> [UInt8] {
        var value = generator.next()
        return (0..<count).map { index in
            if index % 64 == 0 { value = value &* 0x9E37_79B9_7F4A_7C15 &+ 1 }
            return UInt8(truncatingIfNeeded: value >> 32)
        }
    }

    func pickBranch() -> String {
        branches.keys.sorted().randomElement(using: &generator) ?? "main"
    }

    func pickFile() -> (branch: String, path: String, content: [UInt8])? {
        let branch = pickBranch()
        guard let tree = branches[branch], let path = tree.randomFile(&generator),
            case .some(.some(let content)) = tree.contents[path]
        else { return nil }
        return (branch, path, content)
    }

    func newPath(in branch: String) -> String {
        let tree = branches[branch] ?? StressTree()
        let isDeepest = profile.isDeep && Bool.random(using: &generator)
        let directory = isDeepest ? tree.newestDirectory : tree.randomDirectory(&generator)
        return directory.isEmpty ? name() : directory + "/" + name()
    }

    private func make(count: Int) throws {
        let branch = pickBranch()
        guard branches[branch, default: StressTree()].fileCount < Self.filesMax else { return }
        let path = newPath(in: branch)
        guard
            try attempt({ () throws(FileError) in
                try volume.make(path, in: branch, isDirectory: false)
            })
        else { return }
        branches[branch]?.set(path, [UInt8]())
        guard count > 0 else { return }
        let content = bytes(count)
        if try attempt({ () throws(FileError) in
            try volume.write(content, to: path, in: branch, at: 0)
        }) {
            branches[branch]?.set(path, content)
        } else {
            try expectUnchanged(branch, path, 0)
        }
    }

    private func makeDirectory() throws {
        let branch = pickBranch()
        let path = newPath(in: branch)
        // The format knows no longest path, but a walk from the root is made for each step.
        guard path.utf8.count < 4000 else { return }
        if try attempt({ () throws(FileError) in
            try volume.make(path, in: branch, isDirectory: true)
        }) {
            branches[branch]?.set(path, nil)
        }
    }

    private func write(appends: Bool) throws {
        guard let (branch, path, old) = pickFile() else { return }
        let offset =
            appends
            ? old.count : Int.random(in: 0...min(old.count + 100, 100_000), using: &generator)
        guard offset < 300_000 else { return }
        let isLarge = Int.random(in: 0..<4, using: &generator) == 0
        let fresh = bytes(Int.random(in: 1...(isLarge ? 50_000 : 500), using: &generator))
        if try attempt({ () throws(FileError) in
            try volume.write(fresh, to: path, in: branch, at: offset)
        }) {
            var content = old
            if content.count < offset + fresh.count {
                content += [UInt8](repeating: 0, count: offset + fresh.count - content.count)
            }
            content.replaceSubrange(offset..<offset + fresh.count, with: fresh)
            branches[branch]?.set(path, content)
        } else {
            try expectUnchanged(branch, path, old.count)
        }
    }

    private func expectUnchanged(_ branch: String, _ path: String, _ length: Int) throws {
        let found = try volume.length(of: path, in: branch)
        guard found == length else {
            throw failure("a refused write made \(path) \(found) bytes long, not \(length)")
        }
    }

    private func truncate() throws {
        guard let (branch, path, content) = pickFile(), !content.isEmpty else { return }
        let length = Int.random(in: 0..<content.count, using: &generator)
        try volume.setLength(path, in: branch, length)
        branches[branch]?.set(path, Array(content[..<length]))
    }

    private func remove() throws {
        guard let (branch, path, _) = pickFile() else { return }
        try volume.remove(path, in: branch)
        branches[branch]?.remove(path)
    }

    private func removeDirectory() throws {
        let branch = pickBranch()
        guard let tree = branches[branch] else { return }
        let path = profile.isDeep ? tree.newestDirectory : tree.randomDirectory(&generator)
        guard !path.isEmpty, tree.isEmpty(path) else { return }
        try volume.remove(path, in: branch)
        branches[branch]?.remove(path)
    }

    private func rename() throws {
        guard let (branch, path, _) = pickFile() else { return }
        let name = name()
        guard
            try attempt({ () throws(FileError) in
                try volume.rename(path, in: branch, to: name)
            })
        else { return }
        let parent = StressTree.parent(path)
        branches[branch]?.move(path, to: parent.isEmpty ? name : parent + "/" + name)
    }

    // MARK: Labels

    private func pickLabel() -> (name: String, tree: StressTree)? {
        let names = (Array(branches.keys) + Array(snapshots.keys)).sorted()
        guard let name = names.randomElement(using: &generator),
            let tree = branches[name] ?? snapshots[name]
        else { return nil }
        return (name, tree)
    }

    private func label(
        limit: Bool, _ change: ([UInt8], [UInt8]) -> HistoryChange
    ) throws {
        guard limit, let (source, tree) = pickLabel() else { return }
        nextName += 1
        let name = "label\(nextName)"
        let asked = change(Array(source.utf8), Array(name.utf8))
        guard try attempt({ () throws(FileError) in try volume.change(asked) }) else { return }
        if case .fork = asked { branches[name] = tree } else { snapshots[name] = tree }
    }

    private func rollBack() throws {
        let branch = pickBranch()
        guard let (target, tree) = pickLabel(), target != branch else { return }
        nextName += 1
        let keeping = snapshots.count < 40 ? "kept\(nextName)" : nil
        guard
            try attempt({ () throws(FileError) in
                try volume.change(
                    .rollback(
                        branch: Array(branch.utf8), to: Array(target.utf8),
                        keeping: keeping.map { Array($0.utf8) }))
            })
        else { return }
        if let keeping { snapshots[keeping] = branches[branch] }
        branches[branch] = tree
    }

    private func deleteLabel() throws {
        guard let (name, _) = pickLabel(), name != "main" else { return }
        try volume.change(.delete(Array(name.utf8)))
        branches[name] = nil
        snapshots[name] = nil
    }
}
