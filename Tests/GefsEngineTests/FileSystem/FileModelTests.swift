import GefsCrash
import GefsFormat
import Testing

@testable import GefsEngine

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

extension RandomWorkload {
    /// `GEFS_SEED` replays one run.
    static func seeds(_ defaults: [UInt64]) -> [UInt64] {
        if let text = getenv("GEFS_SEED"), let seed = UInt64(String(cString: text)) {
            return [seed]
        }
        return defaults
    }
}

@Suite
struct FileModelTests {
    @Test(arguments: RandomWorkload.seeds([1, 2, 3, 4]))
    func `random operations leave what a model says, through commits and reopening`(
        seed: UInt64
    ) throws {
        print("seed \(seed)")
        let volume = try TestVolume()
        var workload = RandomWorkload(seed: seed)
        for round in 0..<12 {
            for _ in 0..<120 { try workload.step(volume) }
            if round % 2 == 0 { try volume.sync() }
            let found = try FileModel(of: volume)
            try #require(workload.model.difference(from: found) == nil, "seed \(seed), \(round)")
            if round % 4 == 3 {
                try volume.reopen()
                let again = try FileModel(of: volume)
                try #require(
                    workload.model.difference(from: again) == nil, "reopened, seed \(seed)")
            }
        }
        try volume.fileSystem.close()
        try expectClean(volume.device.image())
    }

    @Test(arguments: RandomWorkload.seeds([11, 12, 13]))
    func `after a power cut the tree is that of an instant since the last sync`(
        seed: UInt64
    ) throws {
        print("seed \(seed)")
        var options = TestVolume.options
        options.flushBytes = 1 << 20
        let volume = try TestVolume(options: options)
        var workload = RandomWorkload(seed: seed)
        for _ in 0..<150 { try workload.step(volume) }
        try volume.sync()
        try volume.device.startRecording()
        var states = [workload.model]
        var generator = SeededGenerator(seed: seed)
        for round in 0..<6 {
            for _ in 0..<25 {
                try workload.step(volume)
                states.append(workload.model)
            }
            let before = volume.device.events.count
            if round % 2 == 1 { try volume.sync() }
            let after = volume.device.events.count
            for count in Set(
                [before, after]
                    + (0..<4).map { _ in
                        Int.random(in: 0...after, using: &generator)
                    })
            {
                let image = volume.device.crashImage(after: count, seed: generator.next())
                let survivor = try TestVolume(image: image)
                let found = try FileModel(of: survivor)
                let isKnown = states.contains(found)
                #expect(isKnown, "seed \(seed): cut after \(count) of \(after)")
                try survivor.fileSystem.close()
                try expectClean(survivor.device.image())
            }
        }
    }

    /// No errors, and no leaked block, by our own checker.
    private func expectClean(_ image: MemoryImage) throws {
        #expect(try VolumeCheck.leaks(image) == 0)
    }
}
