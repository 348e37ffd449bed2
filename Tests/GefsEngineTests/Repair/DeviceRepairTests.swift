import GefsFormat
import Testing

@testable import GefsEngine

/// Every kind of damage that the checker knows, put right.
@Suite struct DeviceRepairTests {
    private static let time: Int64 = 1_700_000_000_000_000_000

    @Test(arguments: CheckerDamageTests.all)
    func `a repair leaves nothing wrong`(damage: Damage) throws {
        let image = damage.volume().image
        let device = MemoryDevice(image)
        let repair = DeviceRepair.plan(device, now: Self.time)
        #expect(device.image == image, "a plan writes nothing")
        #expect(
            repair.isComplete, "\(repair.obstacle ?? "") \(repair.notes) \(repair.after.findings)")
        try repair.apply(to: device)
        let report = Checker.check(device)
        #expect(!DeviceRepair.isWrong(report), "\(report.findings) \(repair.notes)")
        #expect(repair.isNothing || !repair.notes.isEmpty, "it says what it did")
        let again = DeviceRepair.plan(device, now: Self.time)
        #expect(again.isNothing && again.isComplete, "there is nothing left to do")
    }

    @Test func `nothing is done where nothing is wrong`() {
        let repair = DeviceRepair.plan(MemoryDevice(ForgedVolume().image))
        #expect(repair.isNothing && repair.isComplete && repair.notes.isEmpty)
    }

    @Test(arguments: 0..<12)
    func `a flipped bit is found`(index: Int) {
        var random = SplitMix(seed: UInt64(index))
        var bytes = (0..<Geometry.blockBytes).map { _ in random.byte() }
        let hash = bytes.withUnsafeBytes { MetroHash64.hash($0) }
        let bit = random.next(below: 256)
        bytes[bit / 8] ^= 1 << UInt8(bit % 8)
        #expect(bytes.withUnsafeBytes { MetroHash64.flippedBit(in: $0, expecting: hash) } == bit)
    }
}

/// What a repaired volume is good for.
@Suite struct RepairedVolumeTests {
    @Test func `a damaged users file gives way to one that lets people in`() throws {
        let volume = try TestVolume()
        try volume.makeFile("kept", [1, 2, 3])
        try volume.fileSystem.close()
        var image = volume.device.image()
        // The users file of a fresh volume is the second block of the second arena (FORMAT 10.1).
        let layout = DeviceLayout.arenasAtReam(deviceBytes: image.byteCount)
        let users = layout.addresses[1] + 3 * UInt64(Geometry.blockBytes)
        let text = image.bytes(at: users, count: 7)
        #expect(text == Array("-1:adm:".utf8))
        [UInt8](repeating: 0xee, count: 512).withUnsafeBytes { image.write($0, at: users) }
        let device = MemoryDevice(image)
        let repair = DeviceRepair.plan(device)
        #expect(repair.isComplete)
        #expect(repair.notes.contains { $0.path == "/users" && $0.outcome == .lost })
        try repair.apply(to: device)
        let repaired = try TestVolume(image: device.image)
        #expect(try repaired.read("kept") == [1, 2, 3])
        try repaired.fileSystem.close()
        #expect(!Checker.check(repaired.device).isBroken)
    }

    @Test func `data that nobody could read at first is not left damaged, nor given up`() throws {
        let volume = try TestVolume()
        for number in 0..<40 {
            let bytes = [UInt8](repeating: UInt8(number + 1), count: 9000)
            try volume.makeFile("file \(number)", bytes)
        }
        try volume.sync()
        let places = try (0..<40).map { try volume.dataAddress("file \($0)") }
        try volume.fileSystem.close()
        var image = volume.device.image()
        // Two files in an arena of which neither header nor footer is left.
        let layout = DeviceLayout.arenasAtReam(deviceBytes: image.byteCount)
        let arena = try #require(
            layout.addresses.last { arena in
                places.count { $0 > arena && $0 - arena < layout.byteCount } > 1
            })
        let files = (0..<40).filter { places[$0] > arena && places[$0] - arena < layout.byteCount }
        let empty = [UInt8](repeating: 0, count: Geometry.blockBytes)
        for address in [arena, arena + UInt64(Geometry.blockBytes), places[files[0]]] {
            empty.withUnsafeBytes { image.write($0, at: address) }
        }
        [UInt8(files[1] + 1) ^ 8].withUnsafeBytes { image.write($0, at: places[files[1]] + 7000) }
        let device = MemoryDevice(image)
        let repair = DeviceRepair.plan(device)
        #expect(repair.isComplete)
        #expect(repair.notes.filter { $0.outcome == .lost }.map(\.path) == ["/file \(files[0])"])
        // Else one that was cut off in between would end elsewhere.
        #expect(repair.rounds.count { !$0.primary.isEmpty } == 1, "it is one step")
        try repair.apply(to: device)
        let repaired = try TestVolume(image: device.image)
        for number in 0..<40 {
            let byte = number == files[0] ? 0 : UInt8(number + 1)
            #expect(try repaired.read("file \(number)") == [UInt8](repeating: byte, count: 9000))
        }
        try repaired.fileSystem.close()
        #expect(!Checker.check(repaired.device).isBroken)
    }
}
