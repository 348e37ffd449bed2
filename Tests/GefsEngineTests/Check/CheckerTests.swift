import GefsFormat
import Testing

@testable import GefsEngine

@Suite struct CheckerTests {
    static func check(_ volume: ForgedVolume) -> CheckReport {
        Checker.check(MemoryDevice(volume.image, isReadOnly: true))
    }

    @Test func `a sound volume gives no findings`() {
        let report = Self.check(ForgedVolume())
        #expect(report.findings == [], "\(report.findings)")
        #expect(report.isComplete)
        #expect(!report.isBroken)
        // All blocks in use but the two logs, which loading has looked at.
        #expect(report.totals.verifiedBlocks == 15)
        #expect(
            report.totals.description
                == "2 arenas, 17 blocks allocated (0 leaked), 4 labels, 4 snapshots, 1 deadlists, "
                + "qgen 10, nextgen 7, nextqid 20")
    }

    @Test(arguments: Dialect.allCases)
    func `a fresh volume gives no findings`(dialect: Dialect) throws {
        let device = MemoryDevice(byteCount: 160 << 20)
        try Ream.run(device: device, user: "glenda", dialect: dialect)
        let report = Checker.check(device)
        #expect(report.findings.allSatisfy { $0.severity == .note }, "\(report.findings)")
    }

    @Test func `what is recorded as being reclaimed is worth a note only`() {
        var plan = VolumePlan()
        plan.leaves[1].remove(at: 1)
        plan.leaves[2].append((.config(Array("gefs.orphan.11".utf8)), []))
        let report = Self.check(ForgedVolume(plan))
        #expect(report.count(of: "files.orphanData") == 2, "\(report.findings)")
        #expect(report.warningCount == 0)
    }

    /// Much is read by two threads, little by one.
    @Test(arguments: [3, 600])
    func `damaged data is found in little and in much`(blockCount: Int) throws {
        let device = MemoryDevice(byteCount: 160 << 20)
        try Ream.run(device: device, user: "glenda", dialect: .r)
        let fileSystem = try FileSystem.open(device)
        let data = (0..<blockCount * Geometry.blockBytes).map {
            $0 % Geometry.blockBytes < 64 ? UInt8(0x5a) : UInt8(truncatingIfNeeded: $0 >> 14)
        }
        try fileSystem.write(data, to: "big", as: Caller(user: .adm, isPermissive: true))
        try fileSystem.close()
        var image = device.image
        let blocks = image.heldPages().sorted().filter {
            let bytes = image.bytes(at: $0 * UInt64(Geometry.blockBytes), count: 64)
            return bytes.allSatisfy { $0 == 0x5a }
        }
        #expect(blocks.count == blockCount)
        for block in [blocks.first, blocks.last] {
            let address = try #require(block) * UInt64(Geometry.blockBytes)
            [UInt8(1)].withUnsafeBytes { image.write($0, at: address) }
        }
        let report = Checker.check(MemoryDevice(image))
        #expect(report.count(of: "block.hash") == 2, "\(report.findings)")
        #expect(report.errorCount == 2)
    }

    @Test(arguments: [0, 1, 512, 16384, 3 * 16384 + 16383])
    func `a device that is too short is refused`(byteCount: UInt64) {
        let report = Checker.check(MemoryDevice(byteCount: byteCount))
        #expect(report.count(of: "volume.tooShort") == 1)
        #expect(!report.isComplete)
    }

    @Test func `a device of zeros has no superblock`() {
        let report = Checker.check(MemoryDevice(byteCount: 1 << 20))
        #expect(report.count(of: "volume.noSuperblock") == 1)
    }

    @Test func `bytes behind the last whole block do not matter`() {
        var image = ForgedVolume().image
        image.resize(to: image.byteCount + 1000)
        #expect(Checker.check(MemoryDevice(image)).findings == [])
    }

    @Test func `a primary superblock whose arenas are not there gives way to the backup`() {
        var volume = ForgedVolume()
        volume.rewriteSuperblock("primary") {
            $0.arenas[0].hash = 1
            $0.commitGeneration = 11
        }
        let report = Self.check(volume)
        #expect(report.count(of: "arena.unusable") == 1, "\(report.findings)")
        #expect(report.totals.commitGeneration == 10)
        #expect(report.isComplete)
    }

    /// A check found nothing, and the next commit was refused.
    @Test func `a volume whose numbers are used up is worth a note`() {
        var volume = ForgedVolume()
        for copy in ["primary", "backup"] {
            volume.rewriteSuperblock(copy) { $0.nextGeneration = Generation(rawValue: .max >> 1) }
        }
        let report = Self.check(volume)
        #expect(report.count(of: "volume.numbersRunOut") == 1, "\(report.findings)")
        #expect(report.errorCount + report.warningCount == 0)
    }

    @Test func `findings of a kind are counted beyond those that are listed`() {
        var plan = VolumePlan()
        plan.leakedCount = 3
        for index in 0..<10 {
            plan.leaves[1].append(VolumePlan.file(0, "c/\(index)", qid: 16, length: 0))
        }
        var options = CheckOptions()
        options.findingsPerKindMax = 4
        let report = Checker.check(MemoryDevice(ForgedVolume(plan).image), options: options)
        #expect(report.count(of: "files.name") == 20)
        #expect(report.findings.count { $0.kind == "files.name" } == 4)
        #expect(report.findings.first?.severity == .error)
        #expect(report.findings.last?.severity == .warning)
        #expect(report.totals.leakedBlocks == 3)
    }

    @Test func `leaked blocks are listed as ranges`() {
        var plan = VolumePlan()
        plan.leakedCount = 3
        let volume = ForgedVolume(plan)
        var options = CheckOptions()
        #expect(Checker.check(MemoryDevice(volume.image), options: options).leakedRanges == [])
        options.listsLeaks = true
        let report = Checker.check(MemoryDevice(volume.image), options: options)
        let start = volume.address("leak0").rawValue
        #expect(report.leakedRanges == [start..<start + 3 * VolumePlan.blockBytes])
    }

    // MARK: devices that fail

    @Test(arguments: ["leaf1", "root", "oldRoot", "snapshotRoot", "data a1", "deadlist (5, 3)"])
    func `a block that cannot be read is reported, and the rest is checked`(name: String) throws {
        let volume = ForgedVolume()
        let device = try RecordingDevice(image: volume.image)
        let start = volume.address(name).rawValue
        device.failTransfers(in: start..<start + 1)
        let report = Checker.check(device)
        let found = report.findings.filter { $0.kind == "block.unreadable" }
        #expect(found.map(\.address) == [volume.address(name)], "\(report.findings)")
        #expect(report.totals.snapshots == (name == "snapshotRoot" ? 0 : 4))
    }

    @Test(arguments: ["primary", "backup", "header0", "footer1", "log0"])
    func `a superblock, header or log that cannot be read is reported`(name: String) throws {
        let volume = ForgedVolume()
        let device = try RecordingDevice(image: volume.image)
        let start = volume.address(name).rawValue
        device.failTransfers(in: start..<start + 1)
        let report = Checker.check(device)
        #expect(report.errorCount == 1, "\(report.findings)")
        #expect(report.findings.first?.address == volume.address(name))
        #expect(report.totals.snapshots == 4)
    }

    // MARK: progress

    @Test func `progress grows to the whole and does not go back`() {
        var last = CheckProgress(phase: .loading, bytesDone: 0, bytesTotal: 0)
        var phases: [CheckProgress.Phase] = []
        let report = Checker.check(MemoryDevice(ForgedVolume().image)) { progress in
            #expect(progress.bytesDone >= last.bytesDone)
            #expect(progress.bytesDone <= progress.bytesTotal)
            if phases.last != progress.phase { phases.append(progress.phase) }
            last = progress
            return true
        }
        #expect(phases == [.trees, .files, .data])
        #expect(last.bytesDone == last.bytesTotal)
        #expect(last.bytesDone == report.totals.verifiedBytes)
    }

    @Test(arguments: 0..<12)
    func `a check can be cancelled at any time`(calls: Int) {
        var count = 0
        let report = Checker.check(MemoryDevice(ForgedVolume().image)) { _ in
            count += 1
            return count <= calls
        }
        if report.isCancelled {
            #expect(!report.isComplete)
            #expect(count == calls + 1)
        } else {
            #expect(report.isComplete)
        }
        #expect(report.errorCount == 0, "\(report.findings)")
        #expect(report.warningCount == 0, "\(report.findings)")
    }

    @Test func `without data only its ownership is checked`() {
        var volume = ForgedVolume()
        volume.flip("data a1", 1)
        var options = CheckOptions()
        options.verifiesData = false
        let report = Checker.check(MemoryDevice(volume.image), options: options)
        #expect(report.findings == [])
        #expect(!report.isComplete)
    }
}
