import GefsCrash
import GefsFormat
import Testing

@testable import GefsEngine

/// Disks on which the original has deleted the last snapshot of a line: the lists of that one are on
/// its predecessor, which holds all that is on them. Source: FORMAT 8.4, "Step 2 without a successor".
@Suite
struct UpstreamListsTests {
    private static let block = Geometry.blockBytes

    private func fill(_ volume: TestVolume, _ range: Range<Int>, _ value: UInt8) throws {
        let bytes = [UInt8](repeating: value, count: range.count * Self.block)
        try volume.write("a", bytes, at: UInt64(range.lowerBound * Self.block))
    }

    /// A volume with snapshots s0, s1 and s2 of branch `work`, whose tip the original has dropped.
    private func makeImage() throws -> (image: MemoryImage, models: [String: FileModel]) {
        let volume = try TestVolume()
        let work = Array("work".utf8)
        try volume.change(.fork(of: Array("main".utf8), as: work))
        volume.label = "work"
        try volume.makeFile("a", [UInt8](repeating: 0, count: 30 * Self.block))
        try volume.change(.snapshot(of: work, as: Array("s0".utf8)))
        try fill(volume, 0..<10, 1)
        try volume.change(.snapshot(of: work, as: Array("s1".utf8)))
        try fill(volume, 5..<20, 2)
        try volume.change(.snapshot(of: work, as: Array("s2".utf8)))
        try fill(volume, 0..<25, 3)
        try volume.sync()
        let dropped = try volume.fileSystem.volume.onFlushThread {
            engine -> Result<Void, any Error> in
            Result { try dropTipAsUpstream(work, of: engine) }
        }
        try dropped.get()
        try volume.fileSystem.volume.sync(evenIfClean: true)
        var models = try volume.state()
        models["work"] = nil
        try volume.fileSystem.close()
        return (volume.device.image(), models)
    }

    private func dropTipAsUpstream(_ label: [UInt8], of engine: Volume) throws {
        let work = CommitWork(number: engine.durableCommit + 1)
        let tip = try #require(engine.history.read { $0.record(ofLabel: label) })
        let before = try #require(engine.history.record(tip.predecessor))
        let own = try engine.ownBlocks(of: tip, before.generation, limit: .max)
        for address in own.blocks { engine.drop(address, work) }
        for list in try engine.deadlists(of: tip.generation) {
            try engine.snapshots.remove(Key.deadlist(tip.generation, birth: list.birth))
            try engine.extendDeadlist(before.generation, list.birth, by: list.record, work)
        }
        try engine.removeLabel(label, work)
        try engine.snapshots.remove(Key.snapshot(tip.generation))
        engine.history.change { graph in
            graph.remove(tip.generation)
            var last = before
            last.successor = .none
            graph.put(last)
        }
        engine.miscounted.append(before.generation)
        try work.queue.write(to: engine.device)
        // Nobody else is on the volume, and a stop follows.
    }

    @Test func `the original leaves lists of blocks that are in use`() throws {
        let report = Checker.check(try makeImage().image)
        #expect(report.count(of: "deadlist.entryHeld") > 20)
    }

    @Test(arguments: [
        ["s0", "s1", "s2"], ["s0", "s2", "s1"], ["s1", "s0", "s2"], ["s1", "s2", "s0"],
        ["s2", "s0", "s1"], ["s2", "s1", "s0"],
    ])
    func `whichever is deleted first, the others keep their blocks, and none leaks`(
        order: [String]
    ) throws {
        let (image, models) = try makeImage()
        let volume = try TestVolume(image: image)
        // Somebody goes on from the last one.
        try volume.change(.fork(of: Array("s2".utf8), as: Array("next".utf8)))
        var left = models
        left["next"] = models["s2"]
        for name in order {
            try volume.change(.delete(Array(name.utf8)))
            left[name] = nil
            try volume.fileSystem.drainHistory()
            // Whatever is free is overwritten.
            volume.label = "main"
            try volume.makeFile("filler", [UInt8](repeating: 9, count: 100 << 20))
            try volume.sync()
            try volume.remove("filler")
            volume.fileSystem.drainReclaims()
            try volume.reopen()
            for (label, model) in left {
                volume.label = label
                let found = try FileModel(of: volume)
                try #require(model.difference(from: found) == nil, "\(order), \(name): \(label)")
            }
        }
        try volume.change(.delete(Array("next".utf8)))
        try volume.fileSystem.drainHistory()
        try volume.fileSystem.close()
        let report = Checker.check(volume.device.image())
        #expect(report.errorCount == 0, "\(order)")
        #expect(report.totals.leakedBlocks == 0, "\(order)")
        #expect(report.totals.snapshots == 3, "\(order)")
    }

    @Test func `a repair takes off the lists what is in use`() throws {
        let volume = try TestVolume(image: try makeImage().image)
        let report = try volume.fileSystem.repair()
        #expect(report.discardedLists > 0)
        #expect(report.check.errorCount == 0)
        #expect(report.check.totals.leakedBlocks == 0)
    }
}
