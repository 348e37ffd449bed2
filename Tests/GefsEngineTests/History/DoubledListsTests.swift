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

    /// A volume whose snapshot `old` holds as many blocks alone as fill two blocks of a list, and of
    /// which one is on the pending list, too.
    private func makeLongList() throws -> (image: MemoryImage, doubled: BlockAddress) {
        let volume = try TestVolume()
        try volume.makeFile("big", [UInt8](repeating: 1, count: Self.longBytes))
        try volume.change(.snapshot(of: Array("main".utf8), as: Array("old".utf8)))
        try volume.write("big", [UInt8](repeating: 2, count: Self.longBytes), at: 0)
        try volume.sync()
        var last: [BlockAddress] = []
        let found = try volume.fileSystem.volume.onFlushThread { engine in
            Result {
                for generation in engine.history.read({ $0.records.keys.sorted() }) {
                    for list in try engine.deadlists(of: generation)
                    where list.record.head.address != list.record.tail.address {
                        try engine.walkChain(list.record) { block, _ in last = block.deadAddresses }
                    }
                }
            }
        }
        try found.get()
        try volume.fileSystem.close()
        var image = volume.device.image()
        let doubled = try #require(last.first)
        guard case .success(let superblock) = SuperblockPair(reading: MemoryDevice(image)).primary
        else { throw FileError.notFound }
        let pending = superblock.pendingHead.address
        var bytes = image.bytes(at: pending.rawValue, count: Self.block)
        try bytes.withUnsafeMutableBytes { bytes in
            let view = try ChainBlockView(
                checking: UnsafeRawBufferPointer(bytes), at: pending, expecting: .deadlist)
            let next = view.next
            let base = try #require(bytes.baseAddress)
            var builder = ChainBlockBuilder(continuing: base)
            let isAdded = builder.append(doubled)
            #expect(isAdded)
            builder.finish(kind: .deadlist, next: next)
        }
        bytes.withUnsafeBytes { image.write($0, at: pending.rawValue) }
        return (image, doubled)
    }

    private static let longBytes = 2100 * block

    @Test func `a list that waits beside a younger one frees nothing of a file`() throws {
        let (image, doubled) = try makeLongList()
        #expect(Checker.check(MemoryDevice(image)).count(of: "deadlist.entryTwice") == 1)
        let volume = try TestVolume(image: image)
        let engine = volume.fileSystem.volume
        try engine.sync(evenIfClean: true)
        try engine.sync(evenIfClean: true)
        var names: [String] = []
        while try !engine.onFlushThread({ $0.isAllocated(doubled) }), names.count < 50 {
            names.append("file \(names.count)")
            try volume.makeFile(names[names.count - 1], Array(names[names.count - 1].utf8))
            try volume.sync()
        }
        #expect(try engine.onFlushThread { $0.isAllocated(doubled) })
        // Blocks born since the volume was opened, on a list of two blocks.
        try volume.write("big", [UInt8](repeating: 3, count: Self.longBytes), at: 0)
        try volume.change(.snapshot(of: Array("main".utf8), as: Array("young".utf8)))
        try volume.write("big", [UInt8](repeating: 4, count: Self.longBytes), at: 0)
        try volume.sync()
        try volume.change(.delete(Array("old".utf8)), .delete(Array("young".utf8)))
        try volume.fileSystem.drainHistory()
        for _ in 0..<3 { try engine.sync(evenIfClean: true) }
        #expect(try engine.onFlushThread { $0.isAllocated(doubled) }, "a file's block was freed")
        for name in names {
            try volume.makeFile("\(name) more", [UInt8](repeating: 9, count: Self.block))
            try volume.sync()
        }
        try volume.reopen()
        for name in names { #expect(try volume.read(name) == Array(name.utf8)) }
        try volume.fileSystem.close()
        let report = Checker.check(volume.device.image())
        #expect(report.counts.filter { $0.severity == .error }.isEmpty, "\(report.findings)")
        // All else that both lists named is free again.
        #expect(report.totals.leakedBlocks == 0)
    }
}
