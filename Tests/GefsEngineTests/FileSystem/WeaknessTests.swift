import GefsFormat
import Testing

@testable import GefsEngine

/// What the original does wrong, by its number in SEMANTICS 12, as far as the engine has a part
/// in it. The protocol's part is tested with the server.
@Suite
struct WeaknessTests {
    let block = Geometry.blockBytes

    private func stranger(_ volume: TestVolume) -> Caller {
        Caller(user: UserID(rawValue: 77))
    }

    @Test
    func `12.3 remove-on-close needs write permission in the parent`() throws {
        let volume = try TestVolume()
        try volume.makeFile("a")
        try volume.with("a") { handle in
            #expect(throws: FileError.permissionDenied) {
                try volume.fileSystem.open(
                    handle, OpenMode(.read, removesOnClose: true), as: stranger(volume))
            }
        }
        let names = try volume.list("")
        #expect(names == ["a"])
    }

    @Test
    func `12.4 and 12.41 bytes beyond a shrunk end never come back, and their blocks are freed`()
        throws
    {
        let volume = try TestVolume()
        for flushes in [false, true] {
            let name = "f\(flushes)"
            try volume.makeFile(name, [UInt8](repeating: 9, count: 10 * block))
            if flushes { try volume.sync() }
            let used = volume.fileSystem.space().used
            try volume.change(name) { $0.length = UInt64(block + 100) }
            if flushes {
                try volume.sync()
                // Asked on the flush thread, behind the frees of the commit.
                _ = try volume.fileSystem.lastCommit()
                #expect(volume.fileSystem.space().used < used - UInt64(6 * block))
            }
            try volume.change(name) { $0.length = UInt64(5 * block) }
            let bytes = try volume.read(name)
            #expect(bytes[..<(block + 100)].allSatisfy { $0 == 9 })
            #expect(bytes[(block + 100)...].allSatisfy { $0 == 0 })
        }
    }

    @Test
    func `12.5 the rest of a new block is zero`() throws {
        let volume = try TestVolume()
        try volume.makeFile("secret", [UInt8](repeating: 0xEE, count: 64 * block))
        try volume.remove("secret")
        try volume.makeFile("a", [1])
        try volume.change("a") { $0.length = UInt64(block) }
        try volume.sync()
        let bytes = try volume.read("a")
        #expect(bytes == [1] + [UInt8](repeating: 0, count: block - 1))
    }

    @Test
    func `12.6 and 12.43 the root can be neither removed nor renamed`() throws {
        let volume = try TestVolume()
        #expect(throws: FileError.permissionDenied) { try volume.remove("") }
        #expect(throws: FileError.permissionDenied) {
            try volume.change("") { $0.name = Array("x".utf8) }
        }
        try volume.makeFile("a")
        let names = try volume.list("")
        #expect(names == ["a"])
    }

    @Test
    func `12.9 a denied change of length changes nothing`() throws {
        let volume = try TestVolume()
        try volume.makeFile("a", [1, 2, 3])
        var changes = AttributeChanges()
        changes.length = 1
        changes.owner = UserID(rawValue: 0)
        try volume.with("a") { handle in
            let owner = Caller(user: TestVolume.user)
            #expect(throws: FileError.notOwner) {
                try volume.fileSystem.change(handle, changes, as: owner)
            }
        }
        let bytes = try volume.read("a")
        #expect(bytes == [1, 2, 3])
        try volume.write("a", [4], at: 3)
        let longer = try volume.read("a")
        #expect(longer == [1, 2, 3, 4])
    }

    @Test
    func `12.13 nothing is made inside a plain file, and directories are not opened for writing`()
        throws
    {
        let volume = try TestVolume()
        try volume.makeFile("a")
        #expect(throws: FileError.notADirectory) { try volume.makeFile("a/b") }
        try volume.makeDirectory("d")
        try volume.with("d") { handle in
            #expect(throws: FileError.permissionDenied) {
                try volume.fileSystem.open(handle, OpenMode(.write), as: volume.caller)
            }
        }
    }

    @Test
    func `12.15 and 12.40 what was acknowledged survives a clean stop`() throws {
        let volume = try TestVolume()
        try volume.makeFile("a", [1, 2, 3])
        try volume.reopen()
        let bytes = try volume.read("a")
        #expect(bytes == [1, 2, 3])
    }

    @Test
    func `12.17 blocks of a dropped state are not reused before the commit that drops it`() throws {
        let volume = try TestVolume()
        try volume.makeFile("a", [UInt8](repeating: 1, count: 200 * block))
        try volume.sync()
        try volume.device.startRecording()
        // Everything up to here is committed; what follows never is.
        try volume.remove("a")
        for index in 0..<6 {
            try volume.makeFile("b\(index)", [UInt8](repeating: 2, count: 200 * block))
        }
        volume.fileSystem.volume.requestFlush()
        let image = volume.device.image()
        let survivor = try TestVolume(image: image)
        let bytes = try survivor.read("a")
        #expect(bytes == [UInt8](repeating: 1, count: 200 * block))
    }

    @Test
    func `12.23 and 12.30 stops and restarts leak no block`() throws {
        let volume = try TestVolume()
        for round in 0..<8 {
            try volume.makeFile("f\(round)", [UInt8](repeating: UInt8(round), count: 40_000))
            if round % 2 == 1 { try volume.remove("f\(round - 1)") }
            try volume.reopen()
        }
        try volume.fileSystem.close()
        #expect(try VolumeCheck.leaks(volume) == 0)
    }

    @Test
    func `12.31 and 12.33 a small commit writes a dozen blocks at most and one arena's log`() throws
    {
        let volume = try TestVolume()
        try volume.makeFile("a", [1])
        try volume.sync()
        try volume.sync()
        try volume.device.startRecording()
        try volume.write("a", [2], at: 0)
        try volume.sync()
        var writes = 0
        var flushes = 0
        for event in volume.device.events {
            if case .flush = event { flushes += 1 } else { writes += 1 }
        }
        #expect(flushes == 2)
        #expect(writes <= 12)
    }

    @Test
    func `12.37 making and removing many files returns to the space before`() throws {
        let volume = try TestVolume()
        try volume.makeDirectory("d")
        try volume.sync()
        for index in 0..<3000 { try volume.makeFile("d/file\(index)") }
        try volume.sync()
        for index in 0..<3000 { try volume.remove("d/file\(index)") }
        try volume.sync()
        try volume.fileSystem.close()
        let image = volume.device.image()
        let report = Checker.check(image)
        #expect(report.totals.leakedBlocks == 0)
        #expect(report.totals.allocatedBlocks < 60)
    }

    @Test
    func `12.47 removing a file with a huge hole costs the blocks that exist`() throws {
        let volume = try TestVolume()
        try volume.makeFile("a", [1])
        try volume.write("a", [2], at: 1 << 62)
        try volume.sync()
        try volume.change("a") { $0.length = 1 << 61 }
        try volume.write("a", [3], at: 1 << 40)
        try volume.remove("a")
        volume.fileSystem.drainReclaims()
        try volume.sync()
        try volume.fileSystem.close()
        #expect(try VolumeCheck.leaks(volume) == 0)
    }

    @Test
    func `names, modes and owners change without the modification time, contents with it`() throws {
        let volume = try TestVolume()
        try volume.makeFile("a", [1])
        try volume.change("a") { $0.modificationTime = 1_000_000_000 }
        try volume.change("a") { $0.mode = 0o600 }
        try volume.change("a") { $0.name = Array("b".utf8) }
        let renamed = try volume.status("b")
        #expect(renamed.modificationTime == 1_000_000_000)
        #expect(renamed.qid.version == 4)
        try volume.write("b", [2], at: 0)
        let written = try volume.status("b")
        #expect(written.modificationTime > 1_000_000_000)
    }

    @Test
    func `12.48 a write that ends beyond the largest length is refused`() throws {
        let volume = try TestVolume()
        try volume.makeFile("a")
        for offset in [UInt64.max, 1 << 63, UInt64(Int64.max)] {
            #expect(throws: FileError.offsetOutOfRange) {
                try volume.write("a", [1], at: offset)
            }
        }
        let length = try volume.status("a").length
        #expect(length == 0)
    }

    @Test
    func
        `12.49 a removed file that is open reads as it was, and its data goes with the last handle`()
        throws
    {
        let volume = try TestVolume()
        let content = [UInt8](repeating: 5, count: 3 * block)
        try volume.makeFile("a", content)
        let handle = try volume.walk("a")
        try volume.fileSystem.open(handle, OpenMode(.readWrite), as: volume.caller)
        try volume.remove("a")
        try volume.sync()
        let bytes = try volume.read(handle, count: 4 * block)
        #expect(bytes == content)
        #expect(throws: FileError.removed) { try volume.write(handle, [1], at: 0) }
        volume.fileSystem.close(handle)
        volume.fileSystem.drainReclaims()
        try volume.fileSystem.close()
        let image = volume.device.image()
        let report = Checker.check(image)
        #expect(report.warningCount == 0)
        #expect(report.totals.leakedBlocks == 0)
    }

    @Test
    func `a crash while a removed file is open does not forget its data`() throws {
        let volume = try TestVolume()
        try volume.makeFile("a", [UInt8](repeating: 5, count: 3000 * block))
        let handle = try volume.walk("a")
        try volume.remove("a")
        try volume.sync()
        let survivor = try TestVolume(
            image: volume.device.image())
        _ = try survivor.list("")
        survivor.fileSystem.drainReclaims()
        try survivor.sync()
        // The commit that drops the blocks leaves them on the pending list; this one frees them.
        try survivor.makeFile("b")
        try survivor.sync()
        try survivor.fileSystem.close()
        let image = survivor.device.image()
        let report = Checker.check(image)
        #expect(report.warningCount == 0)
        #expect(report.totals.allocatedBlocks < 60)
        volume.fileSystem.close(handle)
    }

    @Test
    func `12.51 a stale footer or backup is repaired when the volume is opened`() throws {
        let volume = try TestVolume()
        try volume.makeFile("a", [1])
        try volume.sync()
        var image = volume.device.image()
        let last = Int(image.byteCount) - block
        let junk = [UInt8](repeating: 0x55, count: block)
        junk.withUnsafeBytes { image.write($0, at: UInt64(last)) }
        junk.withUnsafeBytes { image.write($0, at: UInt64(2 * block)) }
        let survivor = try TestVolume(image: image)
        let bytes = try survivor.read("a")
        #expect(bytes == [1])
        try survivor.fileSystem.close()
        let repaired = survivor.device.image()
        let report = Checker.check(repaired)
        #expect(report.errorCount == 0 && report.warningCount == 0)
    }

    @Test
    func `12.53 a read-only volume answers syncs, refuses changes and writes nothing`() throws {
        let volume = try TestVolume()
        try volume.makeFile("a", [1])
        try volume.fileSystem.close()
        let image = volume.device.image()
        var options = TestVolume.options
        options.isReadOnly = true
        let reader = try TestVolume(image: image, options: options)
        try reader.sync()
        #expect(throws: FileError.readOnly) { try reader.write("a", [2], at: 0) }
        #expect(throws: FileError.readOnly) { try reader.remove("a") }
        #expect(throws: FileError.readOnly) { try reader.makeFile("b") }
        let bytes = try reader.read("a")
        #expect(bytes == [1])
        try reader.fileSystem.close()
        #expect(reader.device.image() == image)
    }

    @Test
    func `a failed flush makes the volume refuse changes, and every sync says why`() throws {
        let volume = try TestVolume()
        try volume.makeFile("a", [1])
        try volume.sync()
        try volume.makeFile("b", [2])
        volume.device.failFlushes(after: 0)
        #expect(throws: (any Error).self) { try volume.sync() }
        #expect(throws: (any Error).self) { try volume.sync() }
        #expect(throws: FileError.readOnly) { try volume.makeFile("c") }
        let bytes = try volume.read("b")
        #expect(bytes == [2])
    }
}
