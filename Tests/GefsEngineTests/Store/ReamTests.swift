import GefsFormat
import Testing

@testable import GefsEngine

@Suite struct ReamTests {
    @Test(arguments: [("a-fresh", Dialect.r), ("N-a-fresh", Dialect.n)])
    func `a fresh volume is the original's, byte for byte`(name: String, dialect: Dialect) throws {
        guard let reference = referenceImage(name) else { return }
        let device = MemoryDevice(byteCount: reference.byteCount)
        try Ream.run(device: device, user: "glenda", dialect: dialect)
        #expect(device.image.firstDifference(from: reference) == nil)
    }

    @Test func `a device that is too short is refused`() {
        let device = MemoryDevice(byteCount: Ream.deviceBytesMin - 1)
        #expect(
            throws: ReamError.deviceTooSmall(
                byteCount: Ream.deviceBytesMin - 1, minimum: Ream.deviceBytesMin)
        ) {
            try Ream.run(device: device, user: "glenda")
        }
    }

    @Test(arguments: ["", "adm", "none", "nogroup", "a:b", "a,b", "a b", "a\n", "#a"])
    func `a name that the users file cannot hold is refused`(user: String) {
        let device = MemoryDevice(byteCount: Ream.deviceBytesMin)
        #expect(throws: ReamError.badUserName(user)) { try Ream.run(device: device, user: user) }
        #expect(device.image == MemoryImage(byteCount: Ream.deviceBytesMin))
    }

    @Test func `a fresh volume opens with exact counts`() throws {
        let device = MemoryDevice(byteCount: Ream.deviceBytesMin + 5000)
        try Ream.run(device: device, user: "u")
        let superblock = try SuperblockPair(reading: device).loaded()
        let arenas = try ArenaSet.load(superblock, from: device, pool: BlockBufferPool())
        #expect(arenas.arenas.count == 8)
        #expect(arenas.usedBlocks == 8 * 3 + 4)
        #expect(arenas.arenas[0].usedBlocks == 6)
        #expect(arenas.repairsAtOpen().isEmpty)
    }

    @Test func `a crash while a volume is made leaves no volume or a whole one`() throws {
        let device = try RecordingDevice(image: MemoryImage(byteCount: Ream.deviceBytesMin))
        try Ream.run(device: device, user: "first")
        try device.startRecording()
        try Ream.run(device: device, user: "second", dialect: .n)
        let events = device.events.count
        for count in 0...events {
            for seed in 0..<3 {
                let image = device.crashImage(after: count, seed: UInt64(seed))
                let crashed = MemoryDevice(image)
                guard let superblock = try? SuperblockPair(reading: crashed).loaded() else {
                    #expect(count < events)
                    continue
                }
                _ = try ArenaSet.load(superblock, from: crashed, pool: BlockBufferPool())
            }
        }
    }
}

@Suite struct GrowTests {
    private let before = Ream.deviceBytesMin
    private let after = Ream.deviceBytesMin + (80 << 20) + 300

    @Test func `growing adds four arenas and keeps the rest`() throws {
        let device = MemoryDevice(byteCount: before)
        try Ream.run(device: device, user: "glenda")
        let old = try SuperblockPair(reading: device).loaded()
        device.extend(to: after)
        let report = try Grow.run(device: device)
        #expect(report.arenaCountBefore == 8)
        #expect(report.arenaCount == 12)
        let pair = SuperblockPair(reading: device)
        #expect(pair.agree)
        let new = try pair.loaded()
        #expect(Array(new.arenas[..<8]) == old.arenas)
        let arenas = try ArenaSet.load(new, from: device, pool: BlockBufferPool())
        #expect(arenas.arenas.count == 12)
        #expect(arenas.arenas[11].end <= pair.backupAddress.rawValue)
        #expect(report.addedBytes == arenas.arenas[8...].reduce(0) { $0 + $1.byteCount })
        #expect(arenas.arenas[8].usedBlocks == 3)
        let findings = try oracleFindings(device.image)
        #expect(findings?.last?.contains(" 0 errors") != false)
    }

    @Test func `too little growth is refused and changes nothing`() throws {
        let device = MemoryDevice(byteCount: before)
        try Ream.run(device: device, user: "glenda")
        device.extend(to: before + (63 << 20))
        let image = device.image
        #expect(throws: GrowError.self) { try Grow.run(device: device) }
        #expect(device.image == image)
    }

    @Test func `a crash at any point of growing leaves a volume of either length`() throws {
        let memory = MemoryDevice(byteCount: before)
        try Ream.run(device: memory, user: "glenda")
        memory.extend(to: after)
        let device = try RecordingDevice(memory)
        try Grow.run(device: device)
        var lengths: Set<Int> = []
        for count in 0...device.events.count {
            for seed in 0..<8 {
                let image = device.crashImage(after: count, seed: UInt64(seed))
                let crashed = MemoryDevice(image)
                let superblock = try SuperblockPair(reading: crashed).loaded()
                let arenas = try ArenaSet.load(superblock, from: crashed, pool: BlockBufferPool())
                lengths.insert(arenas.arenas.count)
                // Growing again finishes the work, or finds nothing left to do.
                if arenas.arenas.count == 8 {
                    #expect(try Grow.run(device: crashed).arenaCount == 12)
                }
            }
        }
        #expect(lengths == [8, 12])
    }
}
