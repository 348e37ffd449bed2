import GefsCrash
import GefsFormat
import Testing

@testable import GefsEngine

/// Disks that somebody has made up, on which a block is to be freed by two lists.
///
/// The first list made it free, a file took it, and the second list made the file's block free.
@Suite
struct DoubledListsTests {
    private static let block = Geometry.blockBytes

    @Test func `a block on the pending list and on a deadlist is freed once`() throws {
        var plan = VolumePlan()
        plan.arenaBlocks = 256
        plan.pending = ["data a0 old", "oldLeaf"]
        let forged = ForgedVolume(plan)
        let image = forged.image
        #expect(Checker.check(MemoryDevice(image)).count(of: "deadlist.entryTwice") == 2)
        var options = TestVolume.options
        options.isPermissive = true
        let volume = try TestVolume(image: image, options: options)
        // Short files fill gaps.
        let names = (0..<20).map { "file \($0)" }
        for name in names {
            try volume.makeFile(name, Array(name.utf8))
            try volume.sync()
        }
        let engine = volume.fileSystem.volume
        let isTaken = try engine.onFlushThread { $0.isAllocated(forged.address("oldLeaf")) }
        #expect(isTaken)
        try volume.change(.delete(Array("old".utf8)))
        try volume.fileSystem.drainHistory()
        for _ in 0..<3 { try engine.sync(evenIfClean: true) }
        for name in names {
            try volume.makeFile("\(name) more", [UInt8](repeating: 9, count: Self.block))
            try volume.sync()
        }
        try volume.reopen(options: options)
        for name in names { #expect(try volume.read(name) == Array(name.utf8)) }
        try volume.fileSystem.close()
        let report = Checker.check(volume.device.image())
        #expect(report.count(of: "block.markedFree") == 0, "\(report.findings)")
        #expect(report.count(of: "block.usedTwice") == 0, "\(report.findings)")
    }
}
