import GefsCrash
import GefsFormat
import Testing

@testable import GefsEngine

/// Restores of more than is held in memory.
@Suite
struct StagingTests {
    static var options: VolumeOptions {
        var options = TestVolume.options
        options.transplantBytesMax = 4 * Geometry.blockBytes
        options.flushBytes = 1 << 20
        return options
    }

    private func clearRecords(_ volume: TestVolume) throws -> Int {
        try volume.sync()
        let files = TreeFiles(
            volume.fileSystem.volume, try volume.fileSystem.pin(TestVolume.main))
        return try volume.fileSystem.volume.configEntries(ClearJob.keyPrefix, in: files.root).count
    }

    @Test
    func `a large removed file comes back as the same file`() throws {
        let volume = try TestVolume(options: Self.options)
        let bytes = TestVolume.bytes(3_000_000)
        try volume.makeFile("a", bytes)
        let qid = try volume.status("a").qid.path
        try volume.snapshot("s")
        try volume.remove("a")
        try volume.restore("a")
        let same = try volume.read("a") == bytes
        #expect(same)
        #expect(try volume.status("a").qid.path == qid)
        #expect(try clearRecords(volume) == 0)
        try volume.write("a", [1], at: 3_000_000)
        try volume.reopen(options: Self.options)
        let kept = try volume.read("a") == bytes + [1]
        #expect(kept)
        try volume.expectClean()
    }

    @Test
    func `a large file with many changes is replaced, one with few is changed`() throws {
        let volume = try TestVolume(options: Self.options)
        let bytes = TestVolume.bytes(1_000_000)
        try volume.makeFile("few", bytes)
        try volume.makeFile("many", bytes)
        let qids = try ["few", "many"].map { try volume.status($0).qid.path }
        try volume.snapshot("s")
        try volume.write("few", [1], at: 70_000)
        try volume.write("many", TestVolume.bytes(200_000, salt: 4), at: 70_000)
        let held = try volume.walk("many")
        try volume.fileSystem.open(held, OpenMode(.readWrite), as: volume.caller)
        let report = try volume.restore("")
        #expect(report.items.map(\.effect) == [.changed, .changed])
        let same = try volume.read("few") == bytes && volume.read("many") == bytes
        #expect(same)
        #expect(try volume.status("few").qid.path == qids[0])
        #expect(try volume.status("many").qid.path != qids[1])
        #expect(throws: FileError.removed) { try volume.write(held, [1], at: 0) }
        volume.fileSystem.close(held)
        volume.fileSystem.drainReclaims()
        #expect(try volume.strayQids().isEmpty)
        try volume.expectClean()
    }

    @Test
    func `of a sparse file only the blocks that exist are copied`() throws {
        for room in [Self.options, TestVolume.options] {
            let volume = try TestVolume(options: room)
            try volume.makeFile("a", [1])
            for offset in [0, 1 << 30, 1 << 40] as [UInt64] {
                try volume.write("a", TestVolume.bytes(40_000), at: offset)
            }
            try volume.snapshot("s")
            try volume.change("a") { $0.length = 5 }
            try volume.write("a", [7], at: 1 << 35)
            let report = try volume.restore("a")
            #expect(report.copiedBytes <= UInt64(9 * Geometry.blockBytes))
            #expect(try volume.status("a").length == (1 << 40) + 40_000)
            try volume.with("a") { handle in
                try volume.fileSystem.open(handle, OpenMode(.read), as: volume.caller)
                for offset in [0, 1 << 30, 1 << 40] as [UInt64] {
                    let same =
                        try volume.read(handle, at: offset, count: 40_000)
                        == TestVolume.bytes(40_000)
                    #expect(same, "at \(offset)")
                }
                #expect(try volume.read(handle, at: 1 << 35, count: 2) == [0, 0])
            }
            try volume.expectClean()
        }
    }

    @Test(arguments: [10, 1000])
    func `old data beyond the end of a file that grows does not come back`(stale: Int) throws {
        let volume = try TestVolume()
        let bytes = TestVolume.bytes(200_000)
        try volume.makeFile("a", bytes)
        try volume.change("a") { $0.length = 100_000 }
        try volume.change("a") { $0.length = 200_000 }
        try volume.snapshot("s")
        try volume.change("a") { $0.length = 10 }
        volume.fileSystem.drainReclaims()
        let qid = try volume.status("a").qid.path
        let branch = try volume.fileSystem.volume.use(TestVolume.main, mayBlock: true)
        try branch.lock.locked { () throws(FileError) -> Void in
            let blocks = (1...UInt64(stale)).map { index -> LoadedBlock in
                let buffer = volume.fileSystem.volume.newBuffer()
                for byte in buffer.mutableBytes.indices { buffer.mutableBytes[byte] = 0xEE }
                return LoadedBlock(index: index, buffer: buffer)
            }
            try branch.take(
                branch.promise(forData: blocks, of: qid), as: volume.caller, drawsOnReserve: false)
            for block in blocks { branch.dirty.insert(block.buffer, qid, block.index) }
            branch.removeUser()
        }
        try volume.sync()
        try volume.restore("a")
        let wanted = Array(bytes[..<100_000]) + [UInt8](repeating: 0, count: 100_000)
        let same = try volume.read("a") == wanted
        #expect(same)
        try volume.change("a") { $0.length = 400_000 }
        let isZero = try volume.read("a")[200_000...].allSatisfy { $0 == 0 }
        #expect(isZero)
        try volume.expectClean()
    }

    @Test
    func `what does not fit is refused, and leaves nothing behind`() throws {
        let volume = try TestVolume(options: Self.options)
        try volume.makeFile("a", TestVolume.bytes(40 << 20))
        try volume.snapshot("s")
        try volume.remove("a")
        try volume.makeFile("big", [UInt8](repeating: 1, count: 50 << 20))
        volume.fileSystem.drainReclaims()
        try volume.sync()
        #expect(throws: RestoreError.self) { try volume.restore("a") }
        volume.fileSystem.drainReclaims()
        #expect(try volume.list("") == ["big"])
        #expect(try volume.strayQids().isEmpty)
        #expect(try clearRecords(volume) == 0)
        #expect(volume.fileSystem.failure == nil)
        try volume.remove("big")
        volume.fileSystem.drainReclaims()
        try volume.restore("a")
        let same = try volume.read("a") == TestVolume.bytes(40 << 20)
        #expect(same)
        try volume.expectClean()
    }

    @Test
    func `staged data that meets a full disk half-way is reclaimed`() throws {
        let volume = try TestVolume(options: Self.options)
        try volume.makeFile("a", TestVolume.bytes(4 << 20))
        try volume.makeFile("b", TestVolume.bytes(4 << 20, salt: 2))
        try volume.snapshot("s")
        try volume.remove("a")
        let branch = try volume.fileSystem.volume.use(TestVolume.main, mayBlock: true)
        let files = TreeFiles(
            volume.fileSystem.volume, try volume.fileSystem.pin(Array("s".utf8)))
        let target = TreeFiles(volume.fileSystem.volume, try volume.fileSystem.pin(TestVolume.main))
        let root = try files.rootDirectory().qid
        let file = try #require(try files.file(in: root, named: Array("a".utf8)))
        let change = FileChange(
            old: nil, new: file, contents: FileContents(files: files, qid: file.qid),
            path: [Array("a".utf8)])
        // The branch is another one by the time that all is staged.
        let transplant = Transplant(
            [change], of: branch, target: target, switchCount: 99, as: volume.caller)
        _ = try transplant.measure()
        #expect(try transplant.run() == false)
        volume.fileSystem.drainReclaims()
        #expect(try volume.list("") == ["b"])
        #expect(try clearRecords(volume) == 0)
        #expect(try volume.strayQids().isEmpty)
        branch.lock.locked { branch.removeUser() }
        try volume.expectClean()
    }

    @Test(arguments: RandomWorkload.seeds([1, 2, 3]))
    func `a crash leaves all of a restore or nothing, and no leak`(seed: UInt64) throws {
        print("seed \(seed)")
        let volume = try TestVolume(options: Self.options)
        try volume.makeDirectory("d")
        for index in 0..<12 {
            try volume.makeFile("d/f\(index)", TestVolume.bytes(30_000 * index, salt: seed))
        }
        let old = try FileModel(of: volume)
        try volume.snapshot("s")
        for index in 0..<6 { try volume.remove("d/f\(index)") }
        for index in 6..<9 {
            try volume.write("d/f\(index)", TestVolume.bytes(100_000, salt: 9), at: 5000)
        }
        try volume.change("d/f10") { $0.name = Array("x".utf8) }
        try volume.makeFile("d/new", TestVolume.bytes(200_000))
        try volume.sync()
        volume.fileSystem.drainReclaims()
        try volume.sync()
        let now = try FileModel(of: volume)
        try volume.device.startRecording()
        let before = volume.device.events.count
        try volume.restore("d", deletesNew: true)
        let end = volume.device.events.count
        let isRestored = old.difference(from: try FileModel(of: volume)) == nil
        #expect(isRestored)
        var generator = SeededGenerator(seed: seed)
        var seen: Set<Bool> = []
        for count in before...end {
            let image = volume.device.crashImage(after: count, seed: generator.next())
            let survivor = try TestVolume(image: image, options: Self.options)
            let found = try FileModel(of: survivor)
            let isNew = old.difference(from: found) == nil
            #expect(isNew || now.difference(from: found) == nil, "seed \(seed), cut after \(count)")
            seen.insert(isNew)
            survivor.fileSystem.drainReclaims()
            #expect(try survivor.strayQids().isEmpty, "seed \(seed), cut after \(count)")
            try survivor.expectClean()
        }
        #expect(seen == [true, false])
    }
}
