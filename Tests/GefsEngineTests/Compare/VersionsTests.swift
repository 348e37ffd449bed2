import GefsCrash
import GefsFormat
import Testing

@testable import GefsEngine

extension TestVolume {
    func history(_ path: String, in label: String = "main") throws -> FileHistory {
        try fileSystem.versions(
            of: path.split(separator: "/").map { Array($0.utf8) }, in: Array(label.utf8))
    }
}

extension FileVersion {
    /// `newest..oldest count: size`, or `removed` in place of a size.
    var line: String {
        let names = [newest, oldest].map { String(decoding: $0.name, as: UTF8.self) }
        let size = entry.map { "\($0.length)" } ?? "removed"
        return "\(names[0])..\(names[1]) \(labelCount): \(size)"
    }
}

@Suite struct VersionsTests {
    @Test func `a file's versions, and the times without it`() throws {
        let volume = try TestVolume()
        try volume.makeDirectory("d")
        try volume.snapshot("s0")
        try volume.makeFile("d/f", [1])
        try volume.snapshot("s1")
        try volume.makeFile("other")
        try volume.snapshot("s2")
        try volume.write("d/f", [1, 2], at: 0)
        try volume.snapshot("s3")
        try volume.remove("d/f")
        try volume.snapshot("s4")
        try volume.makeFile("d/g")
        try volume.snapshot("s5")
        try volume.makeFile("d/f", [1, 2, 3])
        try volume.snapshot("s6")
        #expect(
            try volume.history("d/f").versions.map(\.line) == [
                "main..s6 2: 3", "s5..s4 2: removed", "s3..s3 1: 2", "s2..s1 2: 1",
            ])
        #expect(
            try volume.history("d/f", in: "s3").versions.map(\.line) == [
                "s3..s3 1: 2", "s2..s1 2: 1",
            ])
        #expect(
            try volume.history("d/g", in: "s6").versions.map(\.line) == ["s6..s5 2: 0"])
        #expect(throws: FileError.notFound) { try volume.history("d/h") }
        #expect(throws: FileError.notFound) { try volume.history("d/f/g") }
        #expect(throws: FileError.unknownLabel) { try volume.history("d/f", in: "s9") }
    }

    @Test func `a file that is gone is found in the snapshots that have it`() throws {
        let volume = try TestVolume()
        try volume.makeFile("early")
        try volume.snapshot("s1")
        try volume.makeFile("lost", [1, 2, 3])
        try volume.snapshot("s2")
        try volume.remove("lost")
        for index in 3..<20 {
            try volume.makeFile("f\(index)")
            try volume.snapshot("s\(index)")
        }
        #expect(
            try volume.history("lost").versions.map(\.line) == [
                "main..s3 18: removed", "s2..s2 1: 3",
            ])
    }

    @Test func `the versions of a fork go on in the line that it comes from`() throws {
        let volume = try TestVolume()
        try volume.makeFile("f", [1])
        try volume.snapshot("s1")
        try volume.write("f", [1, 2], at: 0)
        try volume.snapshot("s2")
        try volume.label(.fork(of: Array("s2".utf8), as: Array("side".utf8)))
        try volume.write("f", [1, 2, 3], at: 0)
        try volume.snapshot("s3")
        let handle = try volume.walk("f", label: "side")
        try volume.fileSystem.open(handle, OpenMode(.write), as: volume.caller)
        try volume.write(handle, [1, 2, 3, 4], at: 0)
        volume.fileSystem.close(handle)
        try volume.snapshot("t", of: "side")
        #expect(
            try volume.history("f", in: "side").versions.map(\.line)
                == ["side..t 2: 4", "s2..s2 1: 2", "s1..s1 1: 1"])
        #expect(
            try volume.history("f").versions.map(\.line)
                == ["main..s3 2: 3", "s2..s2 1: 2", "s1..s1 1: 1"])
    }

    @Test(arguments: RandomWorkload.seeds([31, 32, UInt64.random(in: 0...(.max))]))
    func `versions are those that a look into every snapshot finds`(seed: UInt64) throws {
        print("versions: GEFS_SEED=\(seed)")
        let volume = try TestVolume()
        var workload = RandomWorkload(seed: seed)
        var paths: Set<String> = []
        var trees: [[String: DirectoryEntry]] = []
        for round in 0..<60 {
            for _ in 0..<4 { try workload.step(volume) }
            // A few files that come and go under the same names.
            for name in ["x", "y"] where Int.random(in: 0..<3, using: &workload.generator) == 0 {
                if (try? volume.remove(name)) == nil { try volume.makeFile(name) }
            }
            try volume.snapshot("s\(round)")
            let files = try volume.contents("s\(round)").files.values
            trees.append(Dictionary(files.map { ($0.path, $0.entry) }) { $1 })
            paths.formUnion(files.map(\.path))
        }
        for path in paths.sorted() where path != "/" {
            var expected: [DirectoryEntry?] = []
            for tree in trees.reversed() {
                let entry = tree[path]
                if let last = expected.last, Self.isSame(last, entry) { continue }
                expected.append(entry)
            }
            if expected.last == .some(nil) { expected.removeLast() }
            let found = try volume.history(path, in: "s59").versions
            let isSame =
                found.count == expected.count
                && zip(found, expected).allSatisfy { Self.isSame($0.entry, $1) }
            #expect(isSame, "\(path): \(found.count) versions, expected \(expected.count)")
            #expect(found.reduce(0) { $0 + $1.labelCount } <= trees.count)
        }
    }

    private static func isSame(_ a: DirectoryEntry?, _ b: DirectoryEntry?) -> Bool {
        a?.qidPath == b?.qidPath && a?.qidVersion == b?.qidVersion
    }

    @Test func `three versions in 1,000 snapshots cost a few dozen looks`() throws {
        let volume = try TestVolume()
        try volume.makeDirectory("d")
        for index in 0..<2000 { try volume.makeFile("d/neighbour\(index)") }
        try volume.makeFile("d/file", [1])
        for round in 0..<1000 {
            // Something else changes all the time, and in the very leaf.
            try volume.change("d/neighbour\(round % 2000)") { $0.mode = 0o600 }
            if round == 300 { try volume.write("d/file", [1, 2], at: 0) }
            if round == 700 { try volume.write("d/file", [1, 2, 3], at: 0) }
            try volume.snapshot("s\(round)")
        }
        try volume.sync()
        let device = CountingDevice(volume.device.image())
        var options = TestVolume.options
        options.isReadOnly = true
        let fileSystem = try FileSystem.open(device, options: options)
        let before = device.blocksRead
        let history = try fileSystem.versions(
            of: ["d", "file"].map { Array($0.utf8) }, in: Array("main".utf8))
        let reads = device.blocksRead - before
        print("3 versions in 1,000 snapshots: \(history.lookupCount) looks, \(reads) blocks")
        #expect(
            history.versions.map(\.line)
                == ["main..s700 301: 3", "s699..s300 400: 2", "s299..s0 300: 1"])
        #expect(history.lookupCount <= 60)
        #expect(reads <= 300)
        #expect(history.blocksRead == reads)
        try fileSystem.close()
    }
}
