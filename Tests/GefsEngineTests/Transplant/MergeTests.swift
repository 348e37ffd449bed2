import GefsCrash
import GefsFormat
import Testing

@testable import GefsEngine

@Suite
struct MergeTests {
    private func merge(
        _ volume: TestVolume, _ preference: MergePreference? = nil, isDryRun: Bool = false
    ) throws -> MergeReport {
        var options = MergeOptions()
        options.preference = preference
        options.isDryRun = isDryRun
        return try volume.fileSystem.merge(
            Array("fork".utf8), into: TestVolume.main, options: options,
            as: Caller(user: .adm, isPermissive: true))
    }

    /// A branch with some files, and a fork of it.
    private func forked() throws -> (TestVolume, main: BranchEditor, fork: BranchEditor) {
        let volume = try TestVolume()
        let main = BranchEditor(volume, "main")
        try main.create("d")
        for name in ["a", "b", "d/c", "d/e"] { try main.create(name, TestVolume.bytes(40_000)) }
        try volume.fork("fork")
        return (volume, main, BranchEditor(volume, "fork"))
    }

    @Test
    func `what the fork changed is taken over, and what the branch changed stays`() throws {
        let (volume, main, fork) = try forked()
        try fork.write("a", [1, 2, 3], at: 20_000)
        try fork.create("new", [4])
        try fork.create("d2")
        let deep = try fork.create("d2/deep", [5])
        try fork.remove("d/c")
        try fork.rename("d/e", "e2")
        try main.change("a") { $0.mode = 0o600 }
        try main.create("mine", [6])
        try main.write("d/e", [7], at: 0)
        let forkFiles = try fork.files()
        let dry = try merge(volume, isDryRun: true)
        #expect(try main.files().nodes[deep] == nil)
        let report = try merge(volume)
        #expect(report.conflicts.isEmpty)
        #expect(dry.changes == report.changes)
        #expect(report.changes.copiedFiles == 3)
        // A block of a, and a block each of the two new files.
        #expect(report.changes.copiedBytes == UInt64(3 * Geometry.blockBytes))
        let content = try main.read("a")
        let wanted = try fork.read("a")
        #expect(content == wanted)
        #expect(try volume.status("a").mode == 0o600)
        #expect(try volume.list("") == ["a", "b", "d", "d2", "new", "mine"])
        #expect(try volume.list("d") == ["e2"])
        #expect(try main.read("d/e2").first == 7)
        #expect(try volume.status("d2/deep").qid.path == deep)
        #expect(try fork.files() == forkFiles)
        try volume.delete("fork")
        try volume.reopen()
        #expect(try main.read("d2/deep") == [5])
        try volume.expectClean()
    }

    @Test
    func `a file with other contents, but the same length and time, is taken over`() throws {
        let volume = try TestVolume()
        let main = BranchEditor(volume, "main")
        try main.create("both", Array("base".utf8))
        try main.create("f", Array("base".utf8))
        try volume.reopen()
        try main.change("f") { $0.modificationTime = 1_000_000_000 }
        try volume.reopen()
        try volume.snapshot("b0")
        try volume.fork("fork")
        try volume.reopen()
        let fork = BranchEditor(volume, "fork")
        try fork.change("f") { $0.length = 0 }
        try fork.write("f", Array("fork".utf8))
        try fork.change("f") { $0.modificationTime = 1_000_000_000 }
        try volume.reopen()
        try fork.create("new", [1])
        try volume.reopen()
        try main.create("mine", [1])
        try volume.reopen()
        let report = try merge(volume)
        #expect(report.changes.items.map(\.effect) == [.changed, .added])
        #expect(try main.read("f") == Array("fork".utf8))
        try volume.expectClean()
    }

    @Test
    func `the same change on both sides is no conflict`() throws {
        let (volume, main, fork) = try forked()
        for side in [main, fork] {
            try side.write("a", [9, 9], at: 100)
            try side.remove("b")
            try side.rename("d/c", "z")
            try side.change("d") { $0.mode = ModeBits.directory | 0o700 }
        }
        let report = try merge(volume)
        #expect(report.conflicts.isEmpty)
        #expect(report.changes.copiedBytes == 0)
        try volume.expectClean()
    }

    @Test
    func `each kind of conflict is found, and nothing is changed`() throws {
        let (volume, main, fork) = try forked()
        try main.create("x")
        try main.create("y")
        try volume.delete("fork")
        try volume.fork("fork")
        try main.write("a", [1])
        try fork.write("a", [2])
        try main.change("b") { $0.mode = 0o600 }
        try fork.change("b") { $0.mode = 0o640 }
        try main.rename("d/c", "c1")
        try fork.rename("d/c", "c2")
        try main.write("d/e", [1])
        try fork.remove("d/e")
        try main.remove("x")
        try fork.create("x/inside", [1])
        try main.create("y/inside", [1])
        try fork.remove("y")
        try main.create("same", [1])
        try fork.create("same", [1])
        let before = try main.files()
        let report = try merge(volume)
        var kinds: [String: MergeConflict.Kind] = [:]
        for conflict in report.conflicts {
            kinds[
                conflict.path.map { String(decoding: $0, as: UTF8.self) }.joined(separator: "/")] =
                conflict.kind
        }
        #expect(
            kinds == [
                "a": .contents, "b": .attributes, "d/c2": .renamed, "d/e": .removedByFork,
                "x/inside": .directoryRemoved, "y/inside": .directoryRemoved, "same": .nameTaken,
            ])
        #expect(report.changes.items.isEmpty)
        #expect(try main.files() == before)
        #expect(try merge(volume, .ours, isDryRun: true).conflicts.isEmpty)
        #expect(try merge(volume, .theirs).conflicts.isEmpty)
        let theirs = try fork.files()
        let merged = try main.files()
        for (qid, node) in theirs.nodes { #expect(merged.nodes[qid] == node, "\(node.name)") }
        #expect(merged.nodes.count == theirs.nodes.count)
        try volume.expectClean()
    }

    @Test
    func `branches with different roots are not merged`() throws {
        let (volume, _, _) = try forked()
        #expect(throws: FileError.noCommonAncestor) {
            try volume.fileSystem.merge(
                Array("adm".utf8), into: TestVolume.main, options: MergeOptions(),
                as: Caller(user: .adm, isPermissive: true))
        }
        try volume.expectClean()
    }

    @Test(arguments: RandomWorkload.seeds(Array(1...12)))
    func `random changes merge as a model says`(seed: UInt64) throws {
        print("seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        for round in 0..<6 {
            let volume = try TestVolume()
            let main = BranchEditor(volume, "main")
            var edits = RandomEdits(generator: generator)
            try edits.run(main, count: 25)
            try volume.fork("fork")
            let base = try main.files()
            let fork = BranchEditor(volume, "fork")
            // Few changes seldom collide, many nearly always do.
            try edits.run(main, count: 1 + 2 * round)
            try edits.run(fork, count: 1 + 2 * round)
            generator = edits.generator
            let (ours, theirs) = (try main.files(), try fork.files())
            let wanted = MergeModel.merge(base: base, ours: ours, theirs: theirs)
            let report = try merge(volume)
            let merged = try main.files()
            if let wanted {
                #expect(report.conflicts.isEmpty, "seed \(seed), round \(round)")
                let isEqual = merged == wanted
                #expect(isEqual, "seed \(seed), round \(round)")
            } else {
                #expect(!report.conflicts.isEmpty, "seed \(seed), round \(round)")
                let isUnchanged = merged == ours
                #expect(isUnchanged, "seed \(seed), round \(round)")
                let preference: MergePreference = seed % 2 == 0 ? .ours : .theirs
                let forced = try merge(volume, preference)
                #expect(forced.conflicts.isEmpty, "seed \(seed), round \(round)")
                let found = try main.files()
                let chosen = preference == .ours ? ours : theirs
                expect(found, has: chosen, since: base, "seed \(seed), round \(round)")
            }
            try volume.expectClean()
        }
    }

    /// What a side changed is as that side has it.
    private func expect(
        _ found: MergeModel, has side: MergeModel, since base: MergeModel, _ what: Comment
    ) {
        for (qid, node) in side.nodes where node != base.nodes[qid] {
            guard let merged = found.nodes[qid] else {
                Issue.record("\(node.name) is missing: \(what)")
                continue
            }
            let before = base.nodes[qid]
            if node.name != before?.name { #expect(merged.name == node.name, what) }
            if node.mode != before?.mode { #expect(merged.mode == node.mode, what) }
            let isSame = node.content == before?.content || merged.content == node.content
            #expect(isSame, what)
        }
        for qid in found.nodes.keys {
            #expect(found.path(of: qid) != nil, what)
        }
    }
}

/// Random changes of a branch's files.
struct RandomEdits {
    var generator: SeededGenerator

    mutating func run(_ editor: BranchEditor, count: Int) throws {
        for _ in 0..<count { try step(editor) }
    }

    private mutating func pick<T>(_ items: [T]) -> T? { items.randomElement(using: &generator) }

    private mutating func step(_ editor: BranchEditor) throws {
        let model = try editor.files()
        let paths = model.nodes.keys.sorted().map { (qid: $0, path: model.path(of: $0) ?? "") }
        let files = paths.filter { model.nodes[$0.qid]?.isDirectory == false }
        let directories = paths.filter { model.nodes[$0.qid]?.isDirectory == true }
        let names = Set(paths.map(\.path))
        let parent = pick(directories.map(\.path) + [""]) ?? ""
        // Few names, so that both sides use the same ones.
        let name = "n\(Int.random(in: 0..<24, using: &generator))"
        let path = parent.isEmpty ? name : parent + "/" + name
        let bytes = TestVolume.bytes(
            Int.random(in: 0...40_000, using: &generator), salt: generator.next())
        switch Int.random(in: 0..<10, using: &generator) {
        case 0..<3 where !names.contains(path): try editor.create(path, bytes)
        case 3 where !names.contains(path): try editor.create(path)
        case 4..<6:
            if let file = pick(files) {
                try editor.write(
                    file.path, bytes, at: UInt64.random(in: 0...30_000, using: &generator))
            }
        case 6:
            if let file = pick(files) {
                let length = UInt64.random(in: 0...30_000, using: &generator)
                try editor.change(file.path) { $0.length = length }
            }
        case 7:
            let empty = paths.filter { item in
                !model.nodes.values.contains { $0.parent == item.qid }
            }
            if let file = pick(empty) { try editor.remove(file.path) }
        case 8:
            if let file = pick(paths) {
                let target = PathText.split(file.path).parent
                let new = target.isEmpty ? name : target + "/" + name
                if !names.contains(new) { try editor.rename(file.path, name) }
            }
        default:
            if let file = pick(paths) {
                let mode = UInt32.random(in: 0o700...0o777, using: &generator)
                let kind = (model.nodes[file.qid]?.mode ?? 0) & ModeBits.directory
                try editor.change(file.path) { $0.mode = kind | mode }
            }
        }
    }
}
