import GefsCrash
import GefsFormat
import Testing

@testable import GefsEngine

/// Snapshots on a volume without a free block: deleting always works and gives the space back, and
/// whatever does not fit is refused with nothing changed.
@Suite
struct HistoryFullDiskTests {
    private static let block = Geometry.blockBytes
    private static let main = Array("main".utf8)
    private static let work = Array("work".utf8)

    /// Writes until nothing fits, with blocks of data to the last.
    private func fill(_ volume: TestVolume, _ path: String = "filler") throws {
        try volume.makeFile(path)
        var offset: UInt64 = 0
        for count in [64, 1] {
            let bytes = [UInt8](repeating: 7, count: count * Self.block)
            while true {
                do {
                    try volume.write(path, bytes, at: offset)
                } catch FileError.volumeFull {
                    break
                }
                offset += UInt64(bytes.count)
            }
        }
        try volume.sync()
    }

    private func shorten(_ volume: TestVolume, by bytes: UInt64) throws {
        let length = try volume.status("filler").length
        try volume.change("filler") { $0.length = length > bytes ? length - bytes : 0 }
        volume.fileSystem.drainReclaims()
    }

    /// A file of `count` blocks, each `width` of which were born in a generation of their own.
    private func makeAged(_ volume: TestVolume, count: Int, width: Int) throws {
        try volume.makeFile("aged")
        let bytes = [UInt8](repeating: 1, count: width * Self.block)
        for index in 0..<(count / width) {
            try volume.write("aged", bytes, at: UInt64(index * bytes.count))
            try volume.sync()
        }
    }

    /// Overwrites every second block of it.
    private func overwrite(_ volume: TestVolume, from first: Int, count: Int) throws {
        let bytes = [UInt8](repeating: 2, count: Self.block)
        for index in stride(from: first, to: count, by: 2) {
            try volume.write("aged", bytes, at: UInt64(index * Self.block))
        }
        try volume.sync()
    }

    private func expectWhole(_ volume: TestVolume, heldBlocks: Int) throws {
        #expect(volume.fileSystem.failure == nil)
        try volume.fileSystem.drainHistory()
        // A commit leaves a list of what it frees: that of these is short.
        volume.label = "main"
        for round in 0..<2 {
            try volume.makeFile("last \(round)")
            try volume.fileSystem.volume.syncAndReclaim()
        }
        try volume.fileSystem.close()
        let image = volume.device.image()
        let report = Checker.check(image)
        #expect(report.errorCount == 0)
        #expect(report.warningCount == 0, "\(report.counts)")
        #expect(report.totals.leakedBlocks == 0)
        // Leaves whose removals still wait in buffers above them, and logs, take some.
        let slack = 500
        #expect(report.totals.allocatedBlocks < heldBlocks + slack)
    }

    @Test
    func `on a full volume lists of hundreds of births are joined and freed`() throws {
        let volume = try TestVolume()
        let count = 1000
        try makeAged(volume, count: count, width: 2)
        try volume.change(.snapshot(of: Self.main, as: Array("s0".utf8)))
        try overwrite(volume, from: 0, count: count)
        try volume.change(.snapshot(of: Self.main, as: Array("s1".utf8)))
        try overwrite(volume, from: 1, count: count)
        try volume.change(.fork(of: Self.main, as: Array("spare".utf8)))
        try fill(volume)
        try volume.change(.delete(Array("s1".utf8)))
        try volume.fileSystem.drainHistory()
        #expect(volume.fileSystem.failure == nil)
        let before = volume.fileSystem.space().used
        try volume.change(.delete(Array("s0".utf8)))
        try volume.fileSystem.drainHistory()
        let after = volume.fileSystem.space().used
        #expect(before - after > UInt64(count * Self.block))
        try volume.remove("filler")
        volume.fileSystem.drainReclaims()
        try volume.change(.delete(Array("spare".utf8)))
        let isRight = try volume.read("aged") == [UInt8](repeating: 2, count: count * Self.block)
        #expect(isRight)
        try expectWhole(volume, heldBlocks: count)
    }

    @Test
    func `on a full volume a file of hundreds of births is removed under a snapshot`() throws {
        let volume = try TestVolume()
        let count = 700
        try makeAged(volume, count: count, width: 1)
        try volume.change(.snapshot(of: Self.main, as: Array("s0".utf8)))
        try fill(volume)
        try volume.remove("aged")
        volume.fileSystem.drainReclaims()
        try? volume.sync()
        #expect(volume.fileSystem.failure == nil)
        try volume.change(.delete(Array("s0".utf8)))
        try volume.fileSystem.drainHistory()
        try volume.remove("filler")
        volume.fileSystem.drainReclaims()
        try volume.sync()
        try expectWhole(volume, heldBlocks: 0)
    }

    @Test
    func `on a nearly full volume blocks of hundreds of births are overwritten, or refused`() throws
    {
        let volume = try TestVolume()
        let count = 600
        try makeAged(volume, count: count, width: 1)
        try volume.change(.snapshot(of: Self.main, as: Array("s0".utf8)))
        try fill(volume)
        try shorten(volume, by: UInt64(300 * Self.block))
        try volume.sync()
        var model = [UInt8](repeating: 1, count: count * Self.block)
        for index in 0..<count {
            do {
                try volume.write(
                    "aged", [UInt8](repeating: 2, count: Self.block), at: UInt64(index * Self.block)
                )
            } catch FileError.volumeFull {
                break
            }
            for offset in 0..<Self.block { model[index * Self.block + offset] = 2 }
        }
        try volume.sync()
        #expect(volume.fileSystem.failure == nil)
        let isRight = try volume.read("aged") == model
        #expect(isRight)
        volume.label = "s0"
        let isKept = try volume.read("aged") == [UInt8](repeating: 1, count: count * Self.block)
        #expect(isKept)
        try volume.change(.delete(Array("s0".utf8)))
        volume.label = "main"
        try volume.remove("filler")
        volume.fileSystem.drainReclaims()
        try volume.sync()
        try expectWhole(volume, heldBlocks: count)
    }

    @Test(arguments: [1, 100, 100_000])
    func `a branch of the size of the volume is deleted in steps when nothing is free`(
        blocksMax: Int
    ) throws {
        var options = TestVolume.options
        options.pruneBlocksMax = blocksMax
        options.backlogBlocksMax = 1
        let volume = try TestVolume(options: options)
        try volume.makeFile("kept", [1, 2, 3])
        try volume.change(.fork(of: Self.main, as: Self.work))
        volume.label = "work"
        for index in 0..<500 {
            try volume.makeFile("small \(index)", [UInt8](repeating: 1, count: 100))
        }
        try fill(volume)
        try volume.change(.delete(Self.work))
        try volume.fileSystem.drainHistory()
        volume.label = "main"
        let bytes = try volume.read("kept")
        #expect(bytes == [1, 2, 3])
        // All of it can be taken again.
        try fill(volume)
        let length = try volume.status("filler").length
        #expect(length > 110 << 20)
        try volume.remove("filler")
        volume.fileSystem.drainReclaims()
        try volume.sync()
        try expectWhole(volume, heldBlocks: 0)
    }

    @Test
    func `labels on a full volume are made or refused, and nothing breaks`() throws {
        let volume = try TestVolume()
        try volume.makeFile("kept", [1, 2, 3])
        try volume.change(.fork(of: Self.main, as: Self.work))
        try fill(volume)
        var made: [[UInt8]] = []
        for index in 0..<400 {
            let name = Array("label\(index)".utf8)
            do throws(FileError) {
                switch index % 4 {
                case 0:
                    try volume.fileSystem.change(
                        [.fork(of: Self.main, as: name)], as: volume.caller)
                case 1:
                    try volume.fileSystem.change(
                        [.rollback(branch: Self.work, to: Self.main, keeping: name)],
                        as: volume.caller)
                default:
                    try volume.fileSystem.change(
                        [.snapshot(of: Self.main, as: name)], as: volume.caller)
                }
                made.append(name)
            } catch {
                #expect(error == .volumeFull)
            }
            #expect(volume.fileSystem.failure == nil)
        }
        let bytes = try volume.read("kept")
        #expect(bytes == [1, 2, 3])
        // Removing a file frees nothing while labels hold it, but works.
        try volume.remove("filler")
        volume.fileSystem.drainReclaims()
        try volume.sync()
        var generator = SeededGenerator(seed: 1)
        for name in (made + [Self.work]).shuffled(using: &generator) {
            try volume.change(.delete(name))
        }
        try expectWhole(volume, heldBlocks: 0)
    }

    @Test(arguments: RandomWorkload.seeds([1, 2, 3]))
    func `a volume that is always full keeps what it has acknowledged`(seed: UInt64) throws {
        let volume = try TestVolume()
        var workload = HistoryWorkload(seed: seed)
        for _ in 0..<40 { try workload.step(volume) }
        try volume.change(.fork(of: Array("empty".utf8), as: Array("ballast".utf8)))
        volume.label = "ballast"
        try fill(volume)
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<150 {
            // Room for a few blocks now and then.
            if Int.random(in: 0..<6, using: &generator) == 0 {
                volume.label = "ballast"
                let count = UInt64.random(in: 1...60, using: &generator)
                try shorten(volume, by: count * UInt64(Self.block))
            }
            let before = workload
            do {
                try workload.step(volume)
            } catch FileError.volumeFull {
                workload = before
                // The step may have made some of its changes: what is there now is the model.
                try workload.reload(volume)
            }
            try #require(volume.fileSystem.failure == nil, "seed \(seed)")
        }
        var found = try volume.state()
        found["ballast"] = nil
        for (name, model) in workload.labels {
            let difference = found[name].flatMap { model.difference(from: $0) }
            try #require(difference == nil, "seed \(seed): \(name)")
        }
        try volume.fileSystem.drainHistory()
        try volume.fileSystem.close()
        #expect(try VolumeCheck.leaks(volume) == 0)
    }
}
