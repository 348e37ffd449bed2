import GefsCrash
import GefsFormat
import Testing

@testable import GefsEngine

/// SEMANTICS 12, "Snapshots" and "Space and speed", 12.22 to 12.39, and 12.50.
extension WeaknessTests {
    private static let main = Array("main".utf8)

    private func makeVolume(_ dialect: Dialect) throws -> TestVolume {
        let memory = MemoryDevice(byteCount: TestVolume.deviceBytes)
        try Ream.run(device: memory, user: "glenda", dialect: dialect)
        return try TestVolume(image: memory.image)
    }

    private func report(_ volume: TestVolume) -> CheckReport {
        Checker.check(volume.device.image())
    }

    /// Blocks written since recording began.
    private func blocksWritten(_ volume: TestVolume) -> Int {
        volume.device.events.reduce(0) { count, event in
            guard case .write(_, let bytes) = event else { return count }
            return count + (bytes.count + block - 1) / block
        }
    }

    @Test(arguments: Dialect.allCases)
    func `12.22 a branch that only a fork depends on is deleted, and the fork keeps its blocks`(
        dialect: Dialect
    ) throws {
        let volume = try makeVolume(dialect)
        let content = [UInt8](repeating: 1, count: 20 * block)
        try volume.change(.fork(of: Self.main, as: Array("parent".utf8)))
        volume.label = "parent"
        try volume.makeFile("a", content)
        try volume.change(.fork(of: Array("parent".utf8), as: Array("child".utf8)))
        try volume.change(.delete(Array("parent".utf8)))
        try volume.fileSystem.drainHistory()
        volume.label = "main"
        try volume.makeFile("filler", [UInt8](repeating: 2, count: 100 << 20))
        try volume.reopen()
        volume.label = "child"
        let isWhole = try volume.read("a") == content
        #expect(isWhole)
        try volume.change(.delete(Array("child".utf8)))
        try volume.fileSystem.drainHistory()
        try volume.fileSystem.close()
        #expect(report(volume).errorCount == 0)
        #expect(report(volume).warningCount == 0)
        // The parent's record went with the child's.
        #expect(report(volume).totals.snapshots == 3)
    }

    @Test(arguments: Dialect.allCases)
    func `12.23 the newest snapshots of a line are deleted one after the other`(
        dialect: Dialect
    ) throws {
        let volume = try makeVolume(dialect)
        volume.label = "work"
        try volume.change(.fork(of: Self.main, as: Array("work".utf8)))
        try volume.makeFile("a", [UInt8](repeating: 0, count: 12 * block))
        for round in 0..<6 {
            try volume.write(
                "a", [UInt8](repeating: 1, count: 2 * block), at: UInt64(2 * round * block))
            try volume.change(
                .snapshot(of: Array("work".utf8), as: Array("s\(round)".utf8)))
        }
        volume.label = "s0"
        let first = try volume.read("a")
        try volume.change(.delete(Array("work".utf8)))
        for round in (1..<6).reversed() {
            try volume.change(.delete(Array("s\(round)".utf8)))
            try volume.fileSystem.drainHistory()
            #expect(volume.fileSystem.failure == nil)
            let isWhole = try volume.read("a") == first
            #expect(isWhole)
        }
        try volume.change(.delete(Array("s0".utf8)))
        try volume.reopen()
        try volume.fileSystem.close()
        #expect(report(volume).errorCount == 0 && report(volume).warningCount == 0)
        #expect(report(volume).totals.snapshots == 3)
    }

    @Test(arguments: Dialect.allCases)
    func `12.24 a snapshot that loses one of its labels counts the others, and goes with the last`(
        dialect: Dialect
    ) throws {
        let volume = try makeVolume(dialect)
        try volume.makeFile("a", [UInt8](repeating: 1, count: 10 * block))
        for name in ["x", "y", "z"] {
            try volume.change(.snapshot(of: Self.main, as: Array(name.utf8)))
        }
        try volume.write("a", [UInt8](repeating: 2, count: 10 * block), at: 0)
        for name in ["y", "x", "z"] {
            try volume.change(.delete(Array(name.utf8)))
            try volume.fileSystem.drainHistory()
            let image = volume.device.image()
            let wrong = try DialectCounts.wrong(in: image, as: dialect)
            #expect(wrong.isEmpty, "without \(name): \(wrong)")
        }
        try volume.fileSystem.close()
        #expect(report(volume).totals.snapshots == 3)
        #expect(report(volume).totals.leakedBlocks == 0)
    }

    @Test
    func `12.30 a stop at any moment under load leaks no block`() throws {
        let volume = try TestVolume()
        try volume.device.startRecording()
        var workload = HistoryWorkload(seed: 30)
        for _ in 0..<60 { try workload.step(volume) }
        let count = volume.device.events.count
        for cut in stride(from: 0, through: count, by: max(1, count / 40)) {
            #expect(
                try VolumeCheck.leaks(volume.device.crashImage(after: cut, seed: UInt64(cut))) == 0)
        }
    }

    @Test(arguments: Dialect.allCases)
    func `12.32 the blocks that adm was made with are freed when it changes`(
        dialect: Dialect
    ) throws {
        let volume = try makeVolume(dialect)
        let layout = DeviceLayout.arenasAtReam(deviceBytes: TestVolume.deviceBytes)
        // FORMAT 10.1: the root of adm, and the data of its users file.
        let root = BlockAddress(
            rawValue: layout.addresses[0] + layout.byteCount - UInt64(2 * block))
        let users = BlockAddress(rawValue: layout.addresses[1] + UInt64(3 * block))
        #expect(volume.fileSystem.volume.isAllocated(users))
        volume.label = "adm"
        let caller = Caller(user: .adm, isPermissive: true)
        let text = try volume.fileSystem.contents(of: "users", in: "adm", as: caller)
        for _ in 0..<3 {
            try volume.fileSystem.write(
                text + Array("# more\n".utf8), to: "users", in: "adm", as: caller)
            try volume.fileSystem.volume.syncAndReclaim(evenIfClean: true)
        }
        try volume.fileSystem.volume.syncAndReclaim(evenIfClean: true)
        try volume.fileSystem.close()
        let again = try TestVolume(image: volume.device.image())
        #expect(!again.fileSystem.volume.isAllocated(users))
        let own = again.fileSystem.volume.history.read { $0.record(ofLabel: LabelName.adm) }
        #expect(own?.root.address != root)
        #expect(report(volume).totals.leakedBlocks == 0)
    }

    @Test
    func `12.34 small changes share the nodes that a commit writes`() throws {
        let volume = try TestVolume()
        try volume.makeDirectory("d")
        try volume.sync()
        try volume.device.startRecording()
        for index in 0..<1000 { try volume.makeFile("d/file \(index)") }
        for index in 0..<1000 { try volume.change("d/file \(index)") { $0.mode = 0o600 } }
        try volume.sync()
        // The original rewrites a block of 16 KiB for each of them.
        #expect(blocksWritten(volume) < 60)
    }

    @Test
    func `12.35 directories tell when they changed, and truncation is a change`() throws {
        let clock = ManualClock()
        let volume = try TestVolume(options: clock.options)
        func time(_ path: String) throws -> Int64 { try volume.status(path).modificationTime }
        try volume.makeDirectory("d")
        try volume.makeFile("d/a", [1, 2, 3])
        let made = try time("d")
        clock.advance(seconds: 5)
        try volume.makeFile("d/b")
        #expect(try time("d") == made + 5_000_000_000)
        clock.advance(seconds: 5)
        try volume.change("d/b") { $0.name = Array("c".utf8) }
        #expect(try time("d") == made + 10_000_000_000)
        clock.advance(seconds: 5)
        try volume.remove("d/c")
        #expect(try time("d") == made + 15_000_000_000)
        #expect(try time("d/a") == made)
        clock.advance(seconds: 5)
        try volume.with("d/a") { handle in
            try volume.fileSystem.open(
                handle, OpenMode(.write, truncates: true), as: volume.caller)
        }
        #expect(try time("d/a") == made + 20_000_000_000)
        #expect(try volume.status("d/a").accessTime > 0)
    }

    @Test(arguments: [
        "block.hash", "space.leaked", "block.usedTwice", "files.up", "deadlist.entryHeld",
    ])
    func `12.36 a check looks at data, leaks, double use, ways up and deadlists`(
        kind: String
    ) throws {
        let damage = CheckerDamageTests.all.filter { $0.kind == kind }
        #expect(!damage.isEmpty)
        for item in damage {
            let found = CheckerTests.check(item.volume()).findings.map(\.kind)
            #expect(found.contains(kind), "\(item)")
        }
    }

    @Test
    func `12.38 a cache smaller than what is worked on stops nobody`() throws {
        var options = TestVolume.options
        options.cacheBytes = 1 << 20
        options.flushBytes = 1 << 20
        let volume = try TestVolume(options: options)
        try volume.makeDirectory("d")
        for index in 0..<3000 { try volume.makeFile("d/file \(index)", [1, 2, 3]) }
        for index in 0..<2997 { try volume.remove("d/file \(index)") }
        for round in 0..<20 {
            try volume.change("d/file 2999") { $0.length = 0 }
            try volume.write("d/file 2999", [UInt8](repeating: UInt8(round), count: 100_000), at: 0)
        }
        try volume.change(.snapshot(of: Self.main, as: Array("s".utf8)))
        let names = try volume.list("d")
        #expect(names == ["file 2997", "file 2998", "file 2999"])
        try volume.fileSystem.close()
        #expect(try VolumeCheck.leaks(volume) == 0)
    }

    @Test(arguments: [UInt64(0), 16384, 0xFFFF_FFFF_0000, UInt64.max - 16383, 12345])
    func `12.39 chain fields that no hash covers lead nowhere`(garbage: UInt64) throws {
        let volume = try TestVolume()
        let content = [UInt8](repeating: 1, count: 30 * block)
        try volume.makeFile("a", content)
        try volume.change(.snapshot(of: Self.main, as: Array("s".utf8)))
        try volume.write("a", [UInt8](repeating: 2, count: 30 * block), at: 0)
        try volume.sync()
        let engine = volume.fileSystem.volume
        var lists: [BlockAddress] = []
        for record in engine.history.records() {
            for list in try engine.deadlists(of: record.generation) {
                try engine.walkChain(list.record) { _, address in lists.append(address) }
            }
        }
        #expect(!lists.isEmpty)
        try volume.fileSystem.close()
        var image = volume.device.image()
        let bytes = withUnsafeBytes(of: garbage.bigEndian) { Array($0) }
        for address in lists {
            bytes.withUnsafeBytes { image.write($0, at: address.rawValue + 12) }
        }
        let survivor = try TestVolume(image: image)
        survivor.label = "s"
        let isWhole = try survivor.read("a") == content
        #expect(isWhole)
        try survivor.change(.delete(Array("s".utf8)))
        try survivor.fileSystem.drainHistory()
        try survivor.fileSystem.close()
        // The tail that the key records is the end, whatever its chain field says.
        #expect(report(survivor).errorCount == 0)
        #expect(report(survivor).totals.leakedBlocks == 0)
    }

    @Test
    func `12.50 a snapshot is durable when it is acknowledged`() throws {
        let volume = try TestVolume()
        try volume.device.startRecording()
        for round in 0..<5 {
            let content = [UInt8](repeating: UInt8(round), count: 30_000)
            try volume.makeFile("a\(round)", content)
            let name = "s\(round)"
            try volume.change(.snapshot(of: Self.main, as: Array(name.utf8)))
            let survivor = try TestVolume(image: volume.device.imageAtLastFlush())
            survivor.label = name
            let isWhole = try survivor.read("a\(round)") == content
            #expect(isWhole)
            if round > 0 {
                try volume.change(.delete(Array("s\(round - 1)".utf8)))
                let next = try TestVolume(image: volume.device.imageAtLastFlush())
                let labels = try next.fileSystem.labels().map(\.name)
                #expect(!labels.contains(Array("s\(round - 1)".utf8)))
            }
        }
    }
}
