import GefsCrash
import GefsFormat
import Testing

@testable import GefsEngine

/// Hard links and extended attributes through merges.
@Suite struct PosixMergeTests {
    private func merge(
        _ volume: TestVolume, _ preference: MergePreference? = nil
    ) throws -> MergeReport {
        var options = MergeOptions()
        options.preference = preference
        return try volume.fileSystem.merge(
            Array("fork".utf8), into: TestVolume.main, options: options,
            as: Caller(user: .adm, isPermissive: true))
    }

    @Test func `names that either side added or removed come together`() throws {
        let volume = try TestVolume(features: .posix)
        try volume.makeFile("a", [1])
        try volume.link("a", "b")
        try volume.link("a", "c")
        try volume.makeFile("plain", [2])
        try volume.snapshot("s")
        try volume.fork("fork", of: "s")
        try volume.remove("b")
        try volume.link("a", "ours")
        volume.label = "fork"
        try volume.remove("c")
        try volume.link("a", "theirs")
        try volume.setAttribute("user.x", of: "a", to: [5])
        try volume.link("plain", "plain2")
        volume.label = "main"
        let report = try merge(volume)
        #expect(report.conflicts.isEmpty)
        let model = try FileModel(of: volume)
        #expect(model.names("a") == ["a", "ours", "theirs"])
        #expect(model.names("plain") == ["plain", "plain2"])
        #expect(model.attributes["ours"] == ["user.x": [5]])
        try volume.expectClean()
    }

    @Test func `different changes of extended attributes are a conflict`() throws {
        let volume = try TestVolume(features: .posix)
        try volume.makeFile("a", [1])
        try volume.setAttribute("user.x", of: "a", to: [1])
        try volume.snapshot("s")
        try volume.fork("fork", of: "s")
        try volume.setAttribute("user.x", of: "a", to: [2])
        volume.label = "fork"
        try volume.setAttribute("user.x", of: "a", to: [3])
        volume.label = "main"
        #expect(try merge(volume).conflicts.map(\.kind) == [.attributes])
        #expect(try merge(volume, .theirs).conflicts.isEmpty)
        #expect(try volume.attributes("a") == ["user.x": [3]])
        try volume.expectClean()
    }

    @Test(arguments: RandomWorkload.seeds([61, 62, UInt64.random(in: 0...(.max))]))
    func `merging into a branch that has not changed gives the fork`(seed: UInt64) throws {
        print("posix merge: GEFS_SEED=\(seed)")
        let volume = try TestVolume(features: .posix)
        var workload = RandomWorkload(seed: seed)
        for _ in 0..<80 { try workload.step(volume) }
        try volume.snapshot("s")
        try volume.fork("fork", of: "s")
        volume.label = "fork"
        for _ in 0..<8 {
            for _ in 0..<40 { try workload.step(volume) }
            #expect(try merge(volume).conflicts.isEmpty)
            volume.label = "main"
            let found = try FileModel(of: volume)
            volume.label = "fork"
            try #require(
                found == workload.model, "\(workload.model.difference(from: found) ?? "?")")
            // From here on both go on from the same.
            try volume.delete("fork")
            try volume.fork("fork")
        }
        try volume.expectClean()
    }

    @Test(
        arguments: RandomWorkload.seeds([71, 72, UInt64.random(in: 0...(.max))]),
        [MergePreference.ours, .theirs])
    func `merging two that both changed leaves a whole volume`(
        seed: UInt64, preference: MergePreference
    ) throws {
        print("posix merge of both: GEFS_SEED=\(seed)")
        let volume = try TestVolume(features: .posix)
        var ours = RandomWorkload(seed: seed)
        for _ in 0..<80 { try ours.step(volume) }
        for round in 0..<4 {
            try volume.fork("fork")
            var theirs = ours
            theirs.generator = SeededGenerator(seed: ours.generator.next())
            theirs.namePrefix = "t\(round)-"
            for _ in 0..<15 { try ours.step(volume) }
            volume.label = "fork"
            for _ in 0..<15 { try theirs.step(volume) }
            volume.label = "main"
            let report = try merge(volume, preference)
            #expect(report.conflicts.isEmpty)
            // Reading all of it finds as many names of each file as the file says.
            ours.model = try FileModel(of: volume)
            try volume.delete("fork")
            volume.fileSystem.drainReclaims()
            try volume.reopen()
            #expect(try VolumeCheck.leaks(volume) == 0)
        }
        try volume.expectClean()
    }
}
