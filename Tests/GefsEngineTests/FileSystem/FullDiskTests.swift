import GefsFormat
import Testing

@testable import GefsEngine

@Suite
struct FullDiskTests {
    /// Writes files of `bytes` each until the volume is full; returns how many fitted.
    private func fill(
        _ volume: TestVolume, bytes: Int, prefix: String = "f"
    ) throws -> Int {
        let content = [UInt8](repeating: 7, count: bytes)
        var count = 0
        while true {
            do {
                try volume.makeFile("\(prefix)\(count)", content)
            } catch FileError.volumeFull {
                return count
            }
            count += 1
        }
    }

    @Test
    func `12.42 one full arena does not stop the others, and a full volume refuses new data`()
        throws
    {
        let volume = try TestVolume()
        let count = try fill(volume, bytes: 1 << 20)
        // 128 MiB of device less reserves: all arenas were used, not only one of 16 MiB.
        #expect(count > 100)
        #expect(volume.fileSystem.failure == nil)
        #expect(volume.fileSystem.space().available < 8 << 20)
    }

    @Test
    func `12.16 a full volume deletes, truncates and syncs, and then takes data again`() throws {
        let volume = try TestVolume()
        let count = try fill(volume, bytes: 1 << 20)
        try volume.sync()
        try volume.change("f0") { $0.length = 10 }
        for index in 1..<count { try volume.remove("f\(index)") }
        try volume.sync()
        #expect(volume.fileSystem.failure == nil)
        let again = try fill(volume, bytes: 1 << 20, prefix: "g")
        #expect(again > count - 12)
        try volume.reopen()
        let kept = try volume.read("f0")
        #expect(kept == [UInt8](repeating: 7, count: 10))
    }

    /// As many parts as a file can have, in few attributes or in many.
    @Test(arguments: [(16, 32_000), (1000, 300), (1000, 1)])
    func `a file with all the attributes there can be goes from a full volume`(
        count: Int, bytes: Int
    ) throws {
        let volume = try TestVolume(features: .posix)
        try volume.makeFile("a")
        for index in 0..<count {
            let value = [UInt8](repeating: UInt8(truncatingIfNeeded: index), count: bytes)
            try volume.setAttribute("user.\(index)", of: "a", to: value)
        }
        try volume.sync()
        try volume.change(.snapshot(of: Array("main".utf8), as: Array("kept".utf8)))
        for bytes in [1 << 20, 1 << 14, 100] {
            _ = try fill(volume, bytes: bytes, prefix: "f\(bytes).")
        }
        try volume.setAttribute("user.0", of: "a", to: nil)
        try volume.remove("a")
        try volume.sync()
        #expect(volume.fileSystem.failure == nil)
        try volume.fileSystem.close()
        #expect(!Checker.check(volume.device.image()).isBroken)
    }

    @Test
    func `a write that is refused leaves everything as it was`() throws {
        let volume = try TestVolume()
        let count = try fill(volume, bytes: 1 << 20)
        try volume.sync()
        let name = "f\(count)"
        if (try? volume.status(name)) == nil { return }
        let before = try volume.status(name)
        #expect(throws: FileError.volumeFull) {
            try volume.write(name, [UInt8](repeating: 1, count: 1 << 20), at: 0)
        }
        let after = try volume.status(name)
        #expect(after.length == before.length)
        #expect(after.qid.version == before.qid.version)
    }

    @Test
    func `small files fill a volume to the end and all can be removed`() throws {
        let volume = try TestVolume()
        let count = try fill(volume, bytes: 100)
        #expect(count > 5000)
        try volume.sync()
        // The last one was made, though its contents found no room.
        for name in try volume.list("") { try volume.remove(name) }
        try volume.sync()
        #expect(volume.fileSystem.failure == nil)
        let names = try volume.list("")
        #expect(names.isEmpty)
        try volume.fileSystem.close()
        #expect(try VolumeCheck.leaks(volume) == 0)
    }

    @Test
    func `overwriting a file goes on for longer than the volume has room`() throws {
        let volume = try TestVolume()
        let content = [UInt8](repeating: 3, count: 1 << 20)
        try volume.makeFile("a", [UInt8](repeating: 0, count: 40 << 20))
        for round in 0..<300 {
            try volume.write("a", content, at: UInt64(round % 40) << 20)
        }
        #expect(volume.fileSystem.failure == nil)
        try volume.fileSystem.close()
        #expect(try VolumeCheck.leaks(volume) == 0)
    }
}

/// What our own checker says of a closed volume.
enum VolumeCheck {
    /// Checks the volume's device; no errors are expected. Returns the blocks leaked.
    static func leaks(_ volume: TestVolume) throws -> Int {
        try leaks(volume.device.image())
    }

    static func leaks(_ image: MemoryImage) throws -> Int {
        let report = Checker.check(image)
        let text = report.findings.filter { $0.severity != .note }.map { "\($0)" }
        #expect(!report.isBroken, "\(text.prefix(5))")
        return report.totals.leakedBlocks
    }
}

extension Checker {
    /// Checks a disk that nobody writes to.
    static func check(_ image: MemoryImage) -> CheckReport {
        check(MemoryDevice(image, isReadOnly: true))
    }
}
