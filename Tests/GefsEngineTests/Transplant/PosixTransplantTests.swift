import GefsCrash
import GefsFormat
import Testing

@testable import GefsEngine

/// Hard links and extended attributes through restores and merges.
@Suite struct PosixTransplantTests {
    private func paths(_ report: TransplantReport) -> [String] {
        report.items.map { item in
            let path = item.path.map { String(decoding: $0, as: UTF8.self) }
            return "\(item.effect.rawValue) \(path.joined(separator: "/"))"
        }
    }

    @Test func `a file with several names comes back as one`() throws {
        let volume = try TestVolume(features: .posix)
        try volume.makeDirectory("d")
        try volume.makeFile("a", TestVolume.bytes(40_000))
        try volume.link("a", "d/b")
        try volume.link("a", "c")
        try volume.setAttribute("user.x", of: "a", to: TestVolume.bytes(1300))
        try volume.snapshot("s")
        let before = try FileModel(of: volume)
        for name in ["a", "d/b", "c"] { try volume.remove(name) }
        // Two of three names: one file that has them.
        expectSame(paths(try volume.restore("a", "d")), ["added a", "attributes d", "added d/b"])
        #expect(try volume.linkCount("a") == 2)
        #expect(try volume.attributes("d/b") == before.attributes["a"])
        expectSame(paths(try volume.restore("c")), ["added c"])
        #expect(try FileModel(of: volume) == before)
        try volume.expectClean()
    }

    @Test func `a name comes back to the file as it was, which other names show too`() throws {
        let volume = try TestVolume(features: .posix)
        try volume.makeDirectory("d")
        try volume.makeFile("a", [1, 2, 3])
        try volume.link("a", "d/b")
        try volume.snapshot("s")
        try volume.write("a", [9, 9, 9, 9], at: 0)
        try volume.setAttribute("user.x", of: "a", to: [1])
        try volume.link("a", "new")
        try volume.remove("d/b")
        expectSame(paths(try volume.restore("d")), ["attributes d", "added d/b"])
        #expect(try volume.read("new") == [1, 2, 3])
        #expect(try volume.attributes("new").isEmpty)
        #expect(try volume.linkCount("d/b") == 3)
        // What is new goes where that is asked for, and only there.
        expectSame(paths(try volume.restore("", deletesNew: true)), ["attributes ", "removed new"])
        #expect(try volume.linkCount("d/b") == 2)
        try volume.expectClean()
    }

    @Test func `a file that got more names since keeps them, or loses them with the directory`()
        throws
    {
        let volume = try TestVolume(features: .posix)
        try volume.makeFile("a", [1, 2, 3])
        try volume.makeDirectory("d")
        try volume.snapshot("s")
        try volume.link("a", "d/b")
        try volume.write("d/b", [7], at: 0)
        try volume.restore("a")
        #expect(try volume.read("d/b") == [1, 2, 3])
        let handle = try volume.walk("d/b")
        try volume.restore("d", deletesNew: true)
        #expect(try volume.linkCount("a") == 1)
        #expect(throws: FileError.notFound) { try volume.read("d/b") }
        #expect(throws: FileError.removed) {
            try volume.fileSystem.remove(handle, as: volume.caller)
        }
        try volume.expectClean()
    }

    @Test func `extended attributes come back alone, also a directory's`() throws {
        let volume = try TestVolume(features: .posix)
        try volume.makeDirectory("d")
        try volume.makeFile("d/f", [1])
        try volume.setAttribute("user.x", of: "d/f", to: TestVolume.bytes(3000))
        try volume.setAttribute("user.y", of: "d", to: [5])
        try volume.snapshot("s")
        let before = try FileModel(of: volume)
        try volume.setAttribute("user.x", of: "d/f", to: TestVolume.bytes(600))
        try volume.setAttribute("user.z", of: "d/f", to: [])
        try volume.setAttribute("user.y", of: "d", to: nil)
        expectSame(paths(try volume.restore("d")), ["attributes d", "attributes d/f"])
        #expect(try FileModel(of: volume) == before)
        #expect(try volume.restore("d").items.isEmpty)
        try volume.expectClean()
    }

    @Test func `a large file with several names gets another number under all of them`() throws {
        var options = TestVolume.options
        options.transplantBytesMax = 64 << 10
        let volume = try TestVolume(options: options, features: .posix)
        try volume.makeDirectory("d")
        try volume.makeFile("a", TestVolume.bytes(1 << 20))
        try volume.link("a", "d/b")
        try volume.setAttribute("user.x", of: "a", to: TestVolume.bytes(700))
        try volume.makeFile("plain", TestVolume.bytes(1 << 20, salt: 2))
        try volume.setAttribute("user.y", of: "plain", to: TestVolume.bytes(900))
        try volume.snapshot("s")
        let before = try FileModel(of: volume)
        let number = try volume.status("a").qid.path
        for path in ["a", "plain"] {
            try volume.write(path, TestVolume.bytes(1 << 20, salt: 3), at: 0)
        }
        try volume.setAttribute("user.x", of: "a", to: nil)
        try volume.restore("")
        #expect(try volume.status("a").qid.path != number)
        let found = try FileModel(of: volume)
        #expect(found == before, "\(before.difference(from: found) ?? "?")")
        try volume.expectClean()
    }

    @Test(arguments: RandomWorkload.seeds([41, 42, UInt64.random(in: 0...(.max))]))
    func `restoring everything gives the state that was, whatever chance did since`(
        seed: UInt64
    ) throws {
        print("posix restore: GEFS_SEED=\(seed)")
        let volume = try TestVolume(features: .posix)
        var workload = RandomWorkload(seed: seed)
        for round in 0..<8 {
            for _ in 0..<40 { try workload.step(volume) }
            try volume.snapshot("s\(round)")
            let before = workload.model
            for _ in 0..<40 { try workload.step(volume) }
            try volume.restore("", from: "s\(round)", deletesNew: true)
            let found = try FileModel(of: volume)
            try #require(
                found == before, "round \(round): \(before.difference(from: found) ?? "?")")
            workload.model = before
        }
        try volume.expectClean()
    }

    @Test(arguments: RandomWorkload.seeds([51, 52, UInt64.random(in: 0...(.max))]))
    func `restoring a path gives what it held, and leaves the volume whole`(seed: UInt64) throws {
        print("posix path: GEFS_SEED=\(seed)")
        let volume = try TestVolume(features: .posix)
        var workload = RandomWorkload(seed: seed)
        for round in 0..<12 {
            for _ in 0..<40 { try workload.step(volume) }
            try volume.snapshot("s\(round)")
            let before = workload.model
            for _ in 0..<40 { try workload.step(volume) }
            let path = before.items.keys.sorted().randomElement(using: &workload.generator) ?? ""
            do {
                try volume.restore(
                    path, from: "s\(round)",
                    deletesNew: Bool.random(using: &workload.generator))
            } catch let error as RestoreError where [.notADirectory, .exists].contains(error.fault)
            {
                continue
            }
            let found = try FileModel(of: volume)
            workload.model = found
            let restored = before.items.keys.filter { $0 == path || $0.hasPrefix(path + "/") }
            for name in restored {
                try #require(found.items[name] == before.items[name], "\(name)")
                #expect(found.attributes[name] == before.attributes[name], "\(name)")
                let twins = before.names(name).filter { restored.contains($0) }
                #expect(found.names(name).isSuperset(of: twins), "\(name)")
            }
            volume.fileSystem.drainReclaims()
            try volume.reopen()
            #expect(try VolumeCheck.leaks(volume) == 0)
        }
        try volume.expectClean()
    }
}

/// Says what was found where it is not what was expected.
private func expectSame(
    _ found: [String], _ expected: [String], at location: SourceLocation = #_sourceLocation
) {
    #expect(found == expected, "\(found)", sourceLocation: location)
}
