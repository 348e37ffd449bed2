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
        let zeros = [UInt8](repeating: 0, count: Geometry.blockBytes)
        let root = superblock.snapshotTreeRoot.address.rawValue
        zeros.withUnsafeBytes { image.write($0, at: root) }
        return image
    }

    private func repaired(_ image: MemoryImage) throws -> (MemoryImage, DeviceRepair) {
        let device = MemoryDevice(image)
        let repair = DeviceRepair.plan(device, now: Self.time)
        #expect(device.image == image, "a plan writes nothing")
        #expect(repair.isComplete, "\(repair.obstacle ?? "")")
        try repair.apply(to: device)
        let report = Checker.check(device)
        #expect(!DeviceRepair.isWrong(report), "\(report.findings.prefix(5))")
        #expect(repair.notes.contains { $0.outcome == .lost && $0.subject == "tree" })
        return (device.image, repair)
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

    @Test func `where a newer tree may be cut nothing is done`() throws {
        let (volume, _) = try makeVolume { volume in
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
        var image = try withoutRoot(volume)
        let zeros = [UInt8](repeating: 0, count: Geometry.blockBytes)
        zeros.withUnsafeBytes { image.write($0, at: main.root.address.rawValue) }
        let repair = DeviceRepair.plan(MemoryDevice(image), now: Self.time)
        #expect(!repair.isComplete && repair.isNothing)
        #expect(repair.obstacle?.contains("gefs rescue") == true, "\(repair.obstacle ?? "")")
    }

    @Test func `a tree of which nothing proves that it is one is not given up`() throws {
        let volume = try TestVolume()
        try volume.makeFile("a")
        try volume.sync()
        try volume.makeFile("b")
        try volume.sync()
        let repair = DeviceRepair.plan(MemoryDevice(try withoutRoot(volume)), now: Self.time)
        #expect(!repair.isComplete && repair.isNothing)
        #expect(repair.obstacle?.contains("gefs rescue") == true, "\(repair.obstacle ?? "")")
    }
}
