import GefsCrash
import GefsFormat
import Testing

@testable import GefsEngine

@Suite
struct HistoryModelTests {
    @Test(arguments: RandomWorkload.seeds([1, 2, 3, 4, 5, 6]))
    func `random histories leave what a model says, and not a block too many`(
        seed: UInt64
    ) throws {
        print("history model: GEFS_SEED=\(seed)")
        let volume = try TestVolume()
        var workload = HistoryWorkload(seed: seed)
        for round in 0..<8 {
            for _ in 0..<30 { try workload.step(volume) }
            try expect(volume, workload, "seed \(seed), round \(round)")
            if round % 3 == 2 {
                try volume.reopen()
                try expect(volume, workload, "seed \(seed), reopened in round \(round)")
            }
            try volume.sync()
            let image = volume.device.image()
            try #require(try VolumeCheck.leaks(image) == 0, "seed \(seed), round \(round)")
        }
        try volume.fileSystem.drainHistory()
        try volume.fileSystem.close()
        try #require(try VolumeCheck.leaks(volume) == 0)
    }

    @Test(arguments: RandomWorkload.seeds([21, 22, 23]))
    func `what is left when all else is deleted is as large as what it holds`(
        seed: UInt64
    ) throws {
        print("history model: GEFS_SEED=\(seed)")
        let volume = try TestVolume()
        var workload = HistoryWorkload(seed: seed)
        for _ in 0..<150 { try workload.step(volume) }
        var generator = SeededGenerator(seed: seed)
        for name in workload.labels.keys.sorted().shuffled(using: &generator) {
            try volume.change(.delete(Array(name.utf8)))
        }
        try volume.fileSystem.drainHistory()
        try volume.fileSystem.close()
        let report = Checker.check(volume.device.image())
        #expect(report.errorCount == 0)
        #expect(report.warningCount == 0)
        // `empty` and `adm` are all there is.
        #expect(report.totals.snapshots == 2)
        #expect(report.totals.deadlists == 0)
        #expect(report.totals.leakedBlocks == 0)
    }

    @Test(arguments: RandomWorkload.seeds([31, 32, 33]))
    func `after a power cut all labels are those of one instant, and nothing leaks`(
        seed: UInt64
    ) throws {
        print("history model: GEFS_SEED=\(seed)")
        var options = TestVolume.options
        options.flushBytes = 1 << 20
        // Small steps, so that a cut hits what takes several commits.
        options.pruneBlocksMax = 5
        options.backlogBlocksMax = 1
        let volume = try TestVolume(options: options)
        var workload = HistoryWorkload(seed: seed)
        for _ in 0..<60 { try workload.step(volume) }
        try volume.sync()
        try volume.device.startRecording()
        var states = [workload.labels]
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<4 {
            for _ in 0..<12 {
                try workload.step(volume)
                states.append(workload.labels)
            }
            let count = volume.device.events.count
            for _ in 0..<4 {
                let cut = Int.random(in: 0...count, using: &generator)
                let image = volume.device.crashImage(after: cut, seed: generator.next())
                let survivor = try TestVolume(image: image)
                let found = try survivor.state()
                let isKnown = states.contains(found)
                #expect(isKnown, "seed \(seed): cut after \(cut) of \(count)")
                try survivor.fileSystem.drainHistory()
                try survivor.fileSystem.close()
                #expect(try VolumeCheck.leaks(survivor) == 0, "cut after \(cut) of \(count)")
            }
        }
    }

    private func expect(
        _ volume: TestVolume, _ workload: HistoryWorkload, _ place: String
    ) throws {
        let found = try volume.state()
        let expected = workload.labels
        try #require(found.keys.sorted() == expected.keys.sorted(), "\(place)")
        for (name, model) in expected {
            let difference = found[name].flatMap { model.difference(from: $0) }
            try #require(difference == nil, "\(place): \(name)")
        }
    }
}
