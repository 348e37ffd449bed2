import GefsFormat
import Testing

@testable import GefsEngine

/// The files `ctl` and `status` that dialect N has in label adm. Source: FORMAT 11.
@Suite struct AdministrationFileTests {
    private static let names = ["ctl", "status"]

    /// A volume of dialect N whose administration files are gone.
    private func imageWithoutFiles() throws -> MemoryImage {
        let memory = MemoryDevice(byteCount: TestVolume.deviceBytes)
        try Ream.run(device: memory, user: "glenda", dialect: .n)
        let volume = try TestVolume(image: memory.image)
        volume.label = "adm"
        let root = try volume.root()
        let node = try #require(root.node)
        try node.branch.lock.locked { () throws(FileError) -> Void in
            for name in Self.names {
                let key = Key.entry(parent: node.qidPath, name: Array(name.utf8))
                try node.branch.take(
                    node.branch.promise(forPutting: key, valueBytes: 0), as: volume.caller,
                    drawsOnReserve: false)
                node.branch.removeKey(key)
            }
        }
        volume.fileSystem.close(root)
        #expect(try volume.list("") == ["users"])
        try volume.fileSystem.close()
        return volume.device.imageAtLastFlush()
    }

    private func expectFiles(_ volume: TestVolume) throws {
        volume.label = "adm"
        #expect(try volume.list("").sorted() == ["ctl", "status", "users"])
        for (index, name) in Self.names.enumerated() {
            let status = try volume.status(name)
            #expect(status.qid == Qid(path: 1 << 63 | UInt64(index + 1), version: 0, type: 0))
            #expect(status.mode == 0o664)
            #expect([status.owner, status.group, status.lastModifier] == [.adm, .adm, .none])
            #expect([status.accessTime, status.modificationTime] == [0, 0])
            #expect(status.length == 0)
        }
    }

    @Test func `what is missing is added and committed when a disk of dialect N is opened`() throws
    {
        let image = try imageWithoutFiles()
        let volume = try TestVolume(image: image)
        #expect(volume.fileSystem.dialect == .n)
        try expectFiles(volume)
        // Durable before anybody asks.
        let copy = try TestVolume(image: volume.device.imageAtLastFlush())
        try expectFiles(copy)
        #expect(try copy.fileSystem.check().errorCount == 0)
    }

    @Test func `a disk that is only read stays as it is`() throws {
        let image = try imageWithoutFiles()
        var options = TestVolume.options
        options.isReadOnly = true
        let volume = try TestVolume(image: image, options: options)
        volume.label = "adm"
        #expect(try volume.list("") == ["users"])
    }

    @Test func `a fresh disk has them, and its second opening writes nothing`() throws {
        let memory = MemoryDevice(byteCount: TestVolume.deviceBytes)
        try Ream.run(device: memory, user: "glenda", dialect: .n)
        let volume = try TestVolume(image: memory.image)
        try expectFiles(volume)
        #expect(try volume.fileSystem.lastCommit().commitGeneration == 0)
    }

    @Test func `a disk of dialect R gets none`() throws {
        let volume = try TestVolume()
        volume.label = "adm"
        #expect(try volume.list("") == ["users"])
    }

    @Test func `the reserve is for every write while it is open`() throws {
        let volume = try TestVolume()
        func fill(_ prefix: String) throws -> Int {
            var count = 0
            while true {
                do {
                    try volume.makeFile("\(prefix)\(count)", [UInt8](repeating: 7, count: 1 << 18))
                } catch FileError.volumeFull {
                    return count
                }
                count += 1
            }
        }
        #expect(try fill("a") > 0)
        try volume.sync()
        #expect(try fill("b") == 0)
        volume.fileSystem.isReserveOpen = true
        #expect(volume.fileSystem.space().reserve == 0)
        let more = try fill("c")
        #expect(more > 4, "\(more)")
        try volume.sync()
        volume.fileSystem.isReserveOpen = false
        #expect(try fill("d") == 0)
        #expect(volume.fileSystem.failure == nil)
        // What is left of it still lets files be removed.
        for index in 0..<more { try volume.remove("c\(index)") }
        try volume.sync()
        #expect(volume.fileSystem.failure == nil)
        #expect(try volume.fileSystem.check().errorCount == 0)
    }

    @Test func `free space is told run by run`() throws {
        let volume = try TestVolume()
        for arena in try volume.fileSystem.freeSpace() {
            #expect(arena.runs >= 1 && arena.longestRunBytes <= arena.freeBytes)
            #expect(arena.runs > 1 || arena.longestRunBytes == arena.freeBytes)
        }
        let state = try volume.fileSystem.memoryState()
        #expect(state.cacheBytesMax == 32 << 20 && state.cachedBlocks > 0)
    }

    @Test func `the users file is replaced wholly, or not at all`() throws {
        let volume = try TestVolume()
        let fileSystem = volume.fileSystem
        let old = try fileSystem.usersFile()
        let long = old.text + Array("# \(String(repeating: "x", count: 40_000))\n7:rob::\n".utf8)
        #expect(try fileSystem.replaceUsersFile(long, ofVersion: old.version))
        #expect(fileSystem.users.id(of: "rob".utf8) == UserID(rawValue: 7))
        // Somebody else was faster.
        #expect(try !fileSystem.replaceUsersFile(old.text, ofVersion: old.version))
        #expect(throws: FileError.self) {
            let now = try fileSystem.usersFile().version
            _ = try fileSystem.replaceUsersFile(Array(old.text.dropLast()), ofVersion: now)
        }
        #expect(try fileSystem.usersFile().text == long)
        let now = try fileSystem.usersFile().version
        #expect(try fileSystem.replaceUsersFile(old.text, ofVersion: now))
        #expect(try fileSystem.usersFile().text == old.text)
        // Durable, without anybody's sync.
        let copy = try TestVolume(image: volume.device.imageAtLastFlush())
        #expect(try copy.fileSystem.usersFile().text == old.text)
    }
}
