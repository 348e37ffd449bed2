import GefsFormat
import Testing

@testable import GefsEngine

/// Verifying everything beside everything else.
@Suite struct ScrubTests {
    private static let unbounded: UInt64 = 1 << 50

    private func volume() throws -> TestVolume {
        let volume = try TestVolume()
        try volume.makeDirectory("dir")
        for index in 0..<30 {
            let bytes = [UInt8](repeating: UInt8(index), count: 20_000)
            try volume.makeFile("dir/file\(index)", bytes)
        }
        try volume.change(.snapshot(of: Array("main".utf8), as: Array("snap".utf8)))
        try volume.write("dir/file0", [1], at: 0)
        try volume.sync()
        return volume
    }

    private func scrub(_ volume: TestVolume, rate: UInt64 = unbounded) throws -> ScrubResult {
        #expect(volume.fileSystem.startScrub(rate: rate))
        // Whoever waits may look how far it is.
        volume.fileSystem.waitForScrub { volume.fileSystem.scrubState.rate == rate }
        volume.fileSystem.waitForScrub()
        return try #require(volume.fileSystem.scrubState.last)
    }

    private func damage(_ volume: TestVolume, _ address: UInt64) throws {
        var bytes = volume.contents.bytes(at: address, count: 512)
        bytes[77] ^= 4
        try bytes.withUnsafeBytes { try volume.device.write(at: address, from: $0) }
        volume.fileSystem.volume.cache.remove(BlockAddress(rawValue: address))
    }

    @Test func `what is sound is verified once, however many labels share it`() throws {
        let volume = try volume()
        let first = try scrub(volume)
        #expect(first.isComplete && first.findingCount == 0, "\(first.findings)")
        let check = try volume.fileSystem.check()
        // The check counts no superblocks, headers and logs; they are few.
        #expect(first.blocks >= UInt64(check.totals.verifiedBlocks))
        #expect(first.blocks < UInt64(check.totals.verifiedBlocks) + 80)
        for index in 0..<5 {
            try volume.change(
                .snapshot(of: Array("main".utf8), as: Array("more\(index)".utf8)))
        }
        #expect(try scrub(volume).blocks < first.blocks + 20)
        try volume.fileSystem.close()
    }

    @Test func `damaged data is named with its files in every label`() throws {
        let volume = try volume()
        let shared = try volume.dataAddress("dir/file5")
        let own = try volume.dataAddress("dir/file0")
        try damage(volume, shared)
        try damage(volume, own)
        let result = try scrub(volume)
        #expect(result.findingCount == 2, "\(result.findings)")
        let bySharing = Dictionary(uniqueKeysWithValues: result.findings.map { ($0.address, $0) })
        #expect(bySharing[shared]?.files == ["main/dir/file5", "snap/dir/file5"])
        #expect(bySharing[own]?.files == ["main/dir/file0"])
        try volume.fileSystem.close()
    }

    @Test func `damaged data is named with all names of its file`() throws {
        let volume = try TestVolume(features: .posix)
        try volume.makeDirectory("dir")
        try volume.makeFile("a", [UInt8](repeating: 1, count: 20_000))
        try volume.link("a", "dir/b")
        try volume.sync()
        try damage(volume, try volume.dataAddress("dir/b"))
        let result = try scrub(volume)
        #expect(result.findings.map { $0.files.sorted() } == [["main/a", "main/dir/b"]])
        try volume.fileSystem.close()
    }

    @Test func `a damaged node is named with the files below it`() throws {
        let volume = try volume()
        let root = try #require(
            volume.fileSystem.volume.history.read { $0.record(ofLabel: Array("snap".utf8)) }
        ).root.address.rawValue
        try damage(volume, root)
        let result = try scrub(volume)
        let finding = try #require(result.findings.first { $0.address == root })
        #expect(finding.hasMoreFiles)
        try volume.fileSystem.close()
    }

    @Test func `a damaged header is found`() throws {
        let volume = try volume()
        let footer = volume.fileSystem.volume.arenas.arenas[1].address.rawValue + 16384
        try damage(volume, footer)
        let result = try scrub(volume)
        #expect(result.findings.map(\.address) == [footer])
        try volume.fileSystem.close()
    }

    @Test func `the result is kept on the disk`() throws {
        let volume = try volume()
        try damage(volume, try volume.dataAddress("dir/file7"))
        let result = try scrub(volume)
        try volume.reopen()
        #expect(volume.fileSystem.scrubState.last == result)
        #expect(!volume.fileSystem.scrubState.isRunning)
        // It is none of the settings that people see, and no fault.
        #expect(try volume.fileSystem.configuration().isEmpty)
        let report = try volume.fileSystem.check()
        #expect(report.errorCount == 1 && report.count(of: "block.hash") == 1)
        try volume.fileSystem.close()
    }

    @Test func `it can be paused, resumed and cancelled`() throws {
        let volume = try volume()
        // A block a second or so: it would take minutes.
        #expect(volume.fileSystem.startScrub(rate: 16384))
        #expect(!volume.fileSystem.startScrub(rate: 16384))
        volume.fileSystem.pauseScrub(true)
        #expect(volume.fileSystem.scrubState.isPaused)
        volume.fileSystem.pauseScrub(false)
        #expect(!volume.fileSystem.scrubState.isPaused)
        volume.fileSystem.cancelScrub()
        volume.fileSystem.waitForScrub()
        #expect(volume.fileSystem.scrubState.last?.isComplete == false)
        try volume.fileSystem.close()
    }

    @Test func `closing does not wait for a slow scrub`() throws {
        let volume = try volume()
        #expect(volume.fileSystem.startScrub(rate: 1))
        try volume.fileSystem.close()
    }

    @Test func `writers go on and snapshots are deleted meanwhile`() throws {
        let volume = try volume()
        for round in 0..<8 {
            #expect(volume.fileSystem.startScrub(rate: Self.unbounded))
            for index in 0..<10 {
                let bytes = [UInt8](repeating: UInt8(round), count: 30_000)
                try volume.write("dir/file\(index)", bytes, at: 0)
            }
            let name = Array("round\(round)".utf8)
            try volume.change(.snapshot(of: Array("main".utf8), as: name))
            if round > 0 { try volume.change(.delete(Array("round\(round - 1)".utf8))) }
            volume.fileSystem.waitForScrub()
            let result = try #require(volume.fileSystem.scrubState.last)
            #expect(result.isComplete && result.findingCount == 0, "\(result.findings)")
        }
        try volume.fileSystem.close()
        let report = Checker.check(MemoryDevice(volume.contents))
        #expect(!report.isBroken && report.totals.leakedBlocks == 0, "\(report.findings)")
    }

    @Test func `scheduled scrubs begin by themselves`() throws {
        let volume = try volume()
        try volume.fileSystem.scheduleScrubs(every: 1, rate: Self.unbounded)
        while volume.fileSystem.scrubState.last == nil {
            volume.fileSystem.waitForScrub()
        }
        try volume.fileSystem.close()
    }

    @Test func `a read-only volume is scrubbed, too`() throws {
        let volume = try volume()
        try volume.fileSystem.close()
        var options = TestVolume.options
        options.isReadOnly = true
        let other = try TestVolume(image: volume.contents, options: options)
        let result = try scrub(other)
        #expect(result.isComplete && result.findingCount == 0, "\(result.findings)")
        try other.fileSystem.close()
    }
}
