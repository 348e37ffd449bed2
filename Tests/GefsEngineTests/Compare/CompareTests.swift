import GefsCrash
import GefsFormat
import Testing

@testable import GefsEngine

extension TestVolume {
    func label(_ changes: HistoryChange...) throws {
        try fileSystem.change(changes, as: caller)
    }

    func snapshot(_ name: String, of source: String = "main") throws {
        try label(.snapshot(of: Array(source.utf8), as: Array(name.utf8)))
    }

    /// What a comparison says, a line a change, sorted.
    func compare(_ old: String, _ new: String, under path: String = "") throws -> [String] {
        var lines: [String] = []
        let totals = try fileSystem.compare(
            Array(old.utf8), Array(new.utf8),
            under: path.split(separator: "/").map { Array($0.utf8) }
        ) { change in
            lines.append(TreeContents.line(change))
            return true
        }
        #expect(totals.differenceCount == lines.count)
        return lines.sorted()
    }

    func contents(_ label: String) throws -> TreeContents {
        let tree = try fileSystem.pin(Array(label.utf8))
        return try TreeContents(tree.root, fileSystem.volume.reader)
    }
}

@Suite struct CompareTests {
    @Test(arguments: RandomWorkload.seeds([21, 22, UInt64.random(in: 0...(.max))]))
    func `random histories that branch differ in what reading all of them finds`(
        seed: UInt64
    ) throws {
        print("compare: GEFS_SEED=\(seed)")
        let volume = try TestVolume()
        var workload = RandomWorkload(seed: seed)
        var labels = ["empty", "main", "kept"]
        var past = workload.model
        for round in 0..<9 {
            if round == 6 {
                // Goes on from an earlier state: two lines with files of the same qids.
                workload.model = past
                try volume.label(
                    .rollback(
                        branch: Array("main".utf8), to: Array("s3".utf8),
                        keeping: Array("kept".utf8)))
            }
            for _ in 0..<60 { try workload.step(volume) }
            try volume.snapshot("s\(round)")
            labels.append("s\(round)")
            if round == 3 { past = workload.model }
        }
        let contents = try labels.map { try volume.contents($0) }
        for old in labels.indices {
            for new in labels.indices {
                let expected = contents[old].changes(to: contents[new])
                let found = try volume.compare(labels[old], labels[new])
                let isSame = found == expected
                #expect(isSame, "\(labels[old]) to \(labels[new]): \(found.count)")
            }
        }
    }

    @Test func `each kind of change has its words`() throws {
        let volume = try TestVolume()
        try volume.makeDirectory("d")
        try volume.makeDirectory("d/below")
        try volume.makeFile("d/below/deep", Array(repeating: 1, count: 50_000))
        for name in ["kept", "gone", "named", "mode", "grown", "touched", "twin"] {
            try volume.makeFile(name, Array(name.utf8))
        }
        try volume.snapshot("before")
        try volume.write("d/below/deep", [9], at: 20_000)
        try volume.change("d") { $0.name = Array("e".utf8) }
        try volume.remove("gone")
        try volume.change("named") { $0.name = Array("renamed".utf8) }
        try volume.change("mode") { $0.mode = 0o600 }
        try volume.write("grown", Array(repeating: 2, count: 40_000), at: 3)
        try volume.change("touched") { $0.modificationTime = 7 }
        try volume.remove("twin")
        try volume.makeFile("twin", Array("other".utf8))
        try volume.makeDirectory("new")
        try volume.makeFile("new/file", Array("x".utf8))
        let lines = try volume.compare("before", "main")
        #expect(
            lines == [
                "added /new [] 0", "added /new/file [] 1", "added /twin [] 1",
                "changed /e/below/deep [contents modified] 1",
                "changed /grown [contents size modified] 3", "changed /mode [mode] 0",
                "changed /touched [modified] 0", "removed /gone [] 1", "removed /twin [] 1",
                "renamed /d to /e [] 0", "renamed /named to /renamed [] 0",
            ])
        #expect(try volume.compare("before", "before").isEmpty)
        #expect(
            try volume.compare("before", "main", under: "new")
                == ["added /new [] 0", "added /new/file [] 1"])
        #expect(
            try volume.compare("before", "main", under: "d") == [
                "changed /e/below/deep [contents modified] 1", "renamed /d to /e [] 0",
            ], "where it was counts, too")
        #expect(try volume.compare("before", "main", under: "kept").isEmpty)
        #expect(throws: FileError.notFound) {
            try volume.compare("before", "main", under: "nowhere")
        }
        #expect(throws: FileError.unknownLabel) { try volume.compare("before", "nothing") }
    }

    @Test func `names that were exchanged are two renames`() throws {
        let volume = try TestVolume()
        try volume.makeFile("a", [1])
        try volume.makeFile("b", [2])
        try volume.snapshot("before")
        try volume.change("a") { $0.name = Array("c".utf8) }
        try volume.change("b") { $0.name = Array("a".utf8) }
        try volume.change("c") { $0.name = Array("b".utf8) }
        #expect(
            try volume.compare("before", "main")
                == ["renamed /a to /b [] 0", "renamed /b to /a [] 0"])
    }

    @Test func `contents differ though two branches have made the entries equal`() throws {
        let volume = try TestVolume()
        try volume.makeFile("file", Array(repeating: 1, count: 40_000))
        try volume.snapshot("s")
        try volume.label(.fork(of: Array("s".utf8), as: Array("side".utf8)))
        try volume.write("file", [2], at: 17_000)
        try volume.change("file") { $0.modificationTime = 5 }
        let main = try volume.root("side")
        defer { volume.fileSystem.close(main) }
        let handle = try volume.walk("file", label: "side")
        defer { volume.fileSystem.close(handle) }
        try volume.fileSystem.open(handle, OpenMode(.write), as: volume.caller)
        try volume.write(handle, [3], at: 17_000)
        var changes = AttributeChanges()
        changes.modificationTime = 5
        try volume.fileSystem.change(handle, changes, as: volume.caller)
        try volume.sync()
        #expect(try volume.compare("main", "side") == ["changed /file [contents] 1"])
    }
}
