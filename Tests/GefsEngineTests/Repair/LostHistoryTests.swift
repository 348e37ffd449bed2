import GefsCrash
import GefsFormat
import Testing

@testable import GefsEngine

/// Volumes whose snapshot tree has lost its root.
@Suite struct LostHistoryTests {
    private typealias State = HistoryWorkload.State
    private static let time: Int64 = 1_700_000_000_000_000_000

    private func fill(_ volume: TestVolume, _ range: Range<Int>) throws {
        for number in range {
            try volume.makeFile(
                "a file with a name that takes some room \(number)",
                [UInt8](repeating: UInt8(number % 251), count: number % 7 * 3000))
        }
    }

    /// A volume with a snapshot and a fork, open, and what it held before its last commit.
    private func makeVolume(_ last: (TestVolume) throws -> Void) throws -> (TestVolume, State) {
        let volume = try TestVolume()
        try fill(volume, 0..<300)
        try volume.change(.snapshot(of: Array("main".utf8), as: Array("old".utf8)))
        try fill(volume, 300..<400)
        try volume.change(.fork(of: Array("main".utf8), as: Array("fork".utf8)))
        volume.label = "fork"
        try fill(volume, 400..<500)
        volume.label = "main"
        try volume.remove("a file with a name that takes some room 7")
        try volume.sync()
        let state = try volume.state()
        try last(volume)
        return (volume, state)
    }

    /// The image after its last commit, without a close, and without the root of the snapshot tree.
    private func withoutRoot(_ volume: TestVolume) throws -> MemoryImage {
        var image = volume.device.image()
        let superblock = try SuperblockPair(reading: MemoryDevice(image)).loaded()
        zero(&image, superblock.snapshotTreeRoot.address.rawValue)
        return image
    }

    /// The image after a repair that leaves nothing wrong.
    private func applied(_ image: MemoryImage) throws -> (MemoryImage, DeviceRepair) {
        let device = MemoryDevice(image)
        let repair = DeviceRepair.plan(device, now: Self.time)
        #expect(device.image == image, "a plan writes nothing")
        #expect(repair.isComplete, "\(repair.obstacle ?? "")")
        try repair.apply(to: device)
        let report = Checker.check(device)
        #expect(report.errorCount + report.warningCount == 0, "\(report.findings.prefix(5))")
        return (device.image, repair)
    }

    /// The same, of one that has lost the root of the snapshot tree, and says so.
    private func repaired(_ image: MemoryImage) throws -> (MemoryImage, DeviceRepair) {
        let (image, repair) = try applied(image)
        #expect(repair.notes.contains { $0.outcome == .lost && $0.subject == "tree" })
        return (image, repair)
    }

    @Test func `labels are had back from the commit before, and its tree too`() throws {
        let (volume, state) = try makeVolume { volume in
            try volume.change(.snapshot(of: Array("main".utf8), as: Array("last".utf8)))
        }
        let (image, _) = try repaired(try withoutRoot(volume))
        let after = try TestVolume(image: image)
        let found = try after.state()
        for (label, files) in state { #expect(found[label] == files, "\(label)") }
        try after.fileSystem.close()
    }

    @Test func `what the last commit has changed gets a label`() throws {
        var newest: FileModel?
        let (volume, state) = try makeVolume { volume in
            try volume.write(
                "a file with a name that takes some room 20",
                [UInt8](repeating: 0xee, count: 40_000),
                at: 0)
            try volume.remove("a file with a name that takes some room 8")
            try volume.sync()
            newest = try volume.state()["main"]
        }
        let (image, repair) = try repaired(try withoutRoot(volume))
        let after = try TestVolume(image: image)
        let found = try after.state()
        for (label, files) in state { #expect(found[label] == files, "\(label)") }
        let made = found.keys.filter { $0.hasPrefix("repair@") }
        #expect(made.count == 1)
        for label in made {
            #expect(found[label] == newest)
            #expect(repair.notes.contains { $0.outcome == .moved && $0.labels == [label] })
        }
        // It takes blocks of nobody when it goes.
        for label in made { try after.change(.delete(Array(label.utf8))) }
        try after.fileSystem.drainHistory()
        try after.reopen()
        #expect(try after.state() == state)
        try after.fileSystem.close()
        #expect(!Checker.check(after.device.image()).isBroken)
    }

    @Test func `parts of a newer tree that has lost its root get labels`() throws {
        let (volume, state) = try makeVolume { volume in
            try volume.write(
                "a file with a name that takes some room 20",
                [UInt8](repeating: 0xee, count: 40_000),
                at: 0)
            try fill(volume, 500..<1500)
            try volume.sync()
        }
        let history = volume.fileSystem.volume.history
        let main = try #require(history.read { $0.record(ofLabel: Array("main".utf8)) })
        #expect(main.height > 1)
        let newest = try #require(try volume.state()["main"])
        var image = try withoutRoot(volume)
        let messages = image.bytes(at: main.root.address.rawValue, count: Geometry.blockBytes)
            .withUnsafeBytes { bytes in
                bytes.baseAddress.map { PivotView(unchecked: $0).messageCount } ?? 0
            }
        zero(&image, main.root.address.rawValue)
        let (mended, _) = try repaired(image)
        let after = try TestVolume(image: mended)
        let found = try after.state()
        for (label, files) in state { #expect(found[label] == files, "\(label)") }
        // It is there as a whole; only messages in the root itself are lost.
        let best = found.values.map { files in
            newest.files.count { files.items[$0] == newest.items[$0] }
        }
        #expect(
            try #require(best.max()) >= newest.files.count - messages,
            "\(best) of \(newest.files.count), \(messages) messages, \(found.keys.sorted())")
        try after.fileSystem.close()
    }

    @Test func `a small tree of which only its form speaks gets a label`() throws {
        let volume = try TestVolume()
        try volume.makeFile("a")
        try volume.sync()
        try volume.makeFile("b")
        try volume.sync()
        let newest = try volume.state()["main"]
        let (image, _) = try repaired(try withoutRoot(volume))
        let after = try TestVolume(image: image)
        let found = try after.state()
        #expect(found.contains { $0.key.hasPrefix("repair@") && $0.value == newest })
        try after.fileSystem.close()
    }

    @Test func `nothing is lost with the list of what was to be freed`() throws {
        let (volume, state) = try makeVolume { volume in
            try volume.remove("a file with a name that takes some room 20")
            try volume.sync()
        }
        let newest = try #require(try volume.state()["main"])
        var image = try withoutRoot(volume)
        let superblock = try SuperblockPair(reading: MemoryDevice(image)).loaded()
        zero(&image, superblock.pendingHead.address.rawValue)
        let (mended, _) = try repaired(image)
        let after = try TestVolume(image: mended)
        let found = try after.state()
        for (label, files) in state { #expect(found[label] == files, "\(label)") }
        #expect(found.contains { $0.key.hasPrefix("repair@") && $0.value == newest })
        try after.fileSystem.close()
    }

    // MARK: Superblocks

    private func zero(_ image: inout MemoryImage, _ offset: UInt64) {
        let zeros = [UInt8](repeating: 0, count: Geometry.blockBytes)
        zeros.withUnsafeBytes { image.write($0, at: offset) }
    }

    private func bothSuperblocks(_ image: MemoryImage) -> [UInt64] {
        [0, DeviceLayout.backupSuperblock(deviceBytes: image.byteCount)]
    }

    /// Repairs an image, and what it holds then.
    private func stateAfterRepair(_ image: MemoryImage) throws -> (State, DeviceRepair) {
        let (image, repair) = try applied(image)
        let after = try TestVolume(image: image)
        let found = try after.state()
        // It can be worked with: numbers that are taken are not given out again.
        try after.makeFile("made afterwards")
        try after.change(.snapshot(of: Array("main".utf8), as: Array("afterwards".utf8)))
        try after.reopen()
        #expect(try after.state().count == found.count + 1)
        try after.fileSystem.close()
        #expect(!Checker.check(after.device.image()).isBroken)
        return (found, repair)
    }

    @Test(arguments: [false, true])
    func `without superblocks everything is found again`(isClosed: Bool) throws {
        let (volume, _) = try makeVolume { volume in
            try fill(volume, 600..<700)
            try volume.sync()
        }
        let state = try volume.state()
        if isClosed { try volume.fileSystem.close() }
        var image = volume.device.image()
        for copy in bothSuperblocks(image) { zero(&image, copy) }
        let (found, repair) = try stateAfterRepair(image)
        for (label, files) in state { #expect(found[label] == files, "\(label)") }
        #expect(repair.notes.contains { $0.subject == "superblock" })
    }

    @Test func `superblocks of an old commit are not believed`() throws {
        let (volume, _) = try makeVolume { _ in }
        let old = volume.device.image()
        for round in 0..<6 {
            try fill(volume, 600 + 50 * round..<650 + 50 * round)
            try volume.sync()
        }
        let state = try volume.state()
        try volume.fileSystem.close()
        var image = volume.device.image()
        for copy in bothSuperblocks(image) {
            let block = old.bytes(at: copy, count: Geometry.blockBytes)
            block.withUnsafeBytes { image.write($0, at: copy) }
        }
        let (found, _) = try stateAfterRepair(image)
        for (label, files) in state { #expect(found[label] == files, "\(label)") }
    }

    @Test(arguments: 0..<6)
    func `one forged log does not outdo the superblocks`(place: Int) throws {
        let (volume, _) = try makeVolume { volume in
            for round in 0..<4 {
                try fill(volume, 600 + 20 * round..<620 + 20 * round)
                try volume.change(.snapshot(of: Array("main".utf8), as: Array("\(round)".utf8)))
            }
        }
        let state = try volume.state()
        try volume.fileSystem.close()
        var image = volume.device.image()
        let superblock = try SuperblockPair(reading: MemoryDevice(image)).loaded()
        // A log in which an old barrier is of a far future now, and else nothing is wrong.
        let address = superblock.arenas[0].address
        let header = image.bytes(at: address.rawValue, count: Geometry.blockBytes)
        let log = try header.withUnsafeBytes { try ArenaHeader(decoding: $0, at: address) }.logHead
        let old = image.bytes(at: log.rawValue, count: Geometry.blockBytes)
        var entries: [LogEntry] = try old.withUnsafeBytes { bytes in
            var entries: [LogEntry] = []
            var cursor = try ChainBlockView(checking: bytes, at: log, expecting: .allocationLog)
                .logEntries()
            while let entry = try cursor.next() { entries.append(entry) }
            return entries
        }
        let barriers = entries.indices.filter {
            if case .sync = entries[$0] { true } else { false }
        }
        let barrier = try #require(
            barriers.dropFirst(barriers.count * place / 6).first, "\(entries)")
        entries[barrier] = .sync(superblock.commitGeneration + 1_000_000)
        var block = [UInt8](repeating: 0, count: Geometry.blockBytes)
        try block.withUnsafeMutableBytes { bytes in
            let base = try #require(bytes.baseAddress)
            var builder = ChainBlockBuilder(block: base)
            for entry in entries { _ = builder.append(entry) }
            builder.finish(kind: .allocationLog)
            ChainBlockBuilder.seal(base, at: log)
        }
        block.withUnsafeBytes { image.write($0, at: log.rawValue) }
        let (found, _) = try stateAfterRepair(image)
        #expect(found == state)
    }

    @Test func `a wrong bit in each superblock is inverted`() throws {
        let (volume, _) = try makeVolume { _ in }
        let state = try volume.state()
        try volume.fileSystem.close()
        var image = volume.device.image()
        for (copy, bit) in zip(bothSuperblocks(image), [3, 397]) {
            var block = image.bytes(at: copy, count: Geometry.blockBytes)
            block[bit / 8] ^= 1 << UInt8(bit % 8)
            block.withUnsafeBytes { image.write($0, at: copy) }
        }
        let (found, repair) = try stateAfterRepair(image)
        #expect(found == state)
        #expect(!repair.notes.contains { $0.outcome == .lost })
    }

    /// The first arena is the one whose log has the numbers of commits here.
    @Test(arguments: [0, 2])
    func `without superblocks and the headers of an arena files are found again`(index: Int) throws
    {
        let (volume, _) = try makeVolume { _ in }
        let state = try volume.state()
        let arena = try SuperblockPair(reading: volume.device).loaded().arenas[index]
        try volume.fileSystem.close()
        var image = volume.device.image()
        for copy in bothSuperblocks(image) { zero(&image, copy) }
        zero(&image, arena.address.rawValue)
        zero(&image, arena.address.rawValue + UInt64(Geometry.blockBytes))
        let (found, _) = try stateAfterRepair(image)
        for (label, files) in state { #expect(found[label] == files, "\(label)") }
    }

    @Test func `a volume of features has them without superblocks`() throws {
        let volume = try TestVolume(features: .posix)
        try volume.makeFile("a")
        try volume.sync()
        let state = try volume.state()
        try volume.fileSystem.close()
        var image = volume.device.image()
        for copy in bothSuperblocks(image) { zero(&image, copy) }
        let (found, _) = try stateAfterRepair(image)
        for (label, files) in state { #expect(found[label] == files, "\(label)") }
    }

    @Test func `without superblocks a repair that is cut off comes to the same end`() throws {
        let (volume, _) = try makeVolume { volume in
            // It is in a tree that looks newer than the last one.
            try volume.change(.snapshot(of: Array("main".utf8), as: Array("gone".utf8)))
            try volume.sync()
            try volume.change(.delete(Array("gone".utf8)))
            try volume.sync()
        }
        let state = try volume.state()
        try volume.fileSystem.close()
        var image = volume.device.image()
        for copy in bothSuperblocks(image) { zero(&image, copy) }
        let device = try RecordingDevice(image: image)
        try DeviceRepair.plan(device, now: Self.time).apply(to: device)
        for cut in 0...device.events.count {
            let (end, _) = try applied(device.crashImage(after: cut, seed: UInt64(cut)))
            let after = try TestVolume(image: end)
            #expect(try after.state() == state, "cut off after \(cut)")
            try after.fileSystem.close()
        }
    }

    @Test(arguments: [1, 3, 4, 5, 12, 40])
    func `what is too short for a volume has no arenas`(blocks: UInt64) {
        let device = MemoryDevice(byteCount: blocks * UInt64(Geometry.blockBytes))
        #expect(!DeviceRepair.hasArenas(device))
        #expect(DeviceRepair.plan(device).isNothing)
    }
}
