import GefsFormat
import Testing

@testable import GefsEngine

extension WeaknessTests {
    /// A closed volume with one file, and its image.
    private func closedImage() throws -> MemoryImage {
        let volume = try TestVolume()
        try volume.makeFile("a", [1, 2, 3])
        try volume.fileSystem.close()
        return volume.device.image()
    }

    @Test
    func `12.18 a crash in the first commit after opening leaves the state before or the new one`()
        throws
    {
        let volume = try TestVolume(image: closedImage())
        try volume.device.startRecording()
        try volume.makeFile("b", [UInt8](repeating: 4, count: 50_000))
        try volume.remove("a")
        try volume.sync()
        for count in 0...volume.device.events.count {
            let survivor = try TestVolume(image: volume.device.image(after: count))
            let names = try survivor.list("")
            #expect(names == ["a"] || names == ["b"], "after \(count) writes")
            try survivor.makeFile("c")
            try survivor.fileSystem.close()
            #expect(try VolumeCheck.leaks(survivor) == 0, "after \(count) writes")
        }
    }

    @Test
    func `12.19 writes lost or torn between two flushes lose no acknowledged commit`() throws {
        let volume = try TestVolume(image: closedImage())
        try volume.device.startRecording()
        for round in 0..<3 {
            try volume.makeFile("b\(round)", [UInt8](repeating: 4, count: 20_000))
            try volume.sync()
        }
        let events = volume.device.events.count
        var generator = SeededGenerator(seed: 19)
        for count in 0...events {
            let image = volume.device.crashImage(after: count, seed: generator.next())
            let survivor = try TestVolume(image: image)
            let names = try survivor.list("")
            let prefixes = [["a"], ["a", "b0"], ["a", "b0", "b1"], ["a", "b0", "b1", "b2"]]
            #expect(prefixes.contains(names), "after \(count) writes")
            if count == events { #expect(names.count == 4) }
            try survivor.fileSystem.close()
            #expect(try VolumeCheck.leaks(survivor) == 0, "after \(count) writes")
        }
    }

    @Test
    func `12.21 a grown volume opens, has more room and keeps its files`() throws {
        let memory = MemoryDevice(try closedImage())
        memory.extend(to: TestVolume.deviceBytes + (128 << 20))
        _ = try Grow.run(device: memory)
        let volume = try TestVolume(image: memory.image)
        let bytes = try volume.read("a")
        #expect(bytes == [1, 2, 3])
        #expect(volume.fileSystem.space().size > 240 << 20)
        try volume.makeFile("b", [UInt8](repeating: 1, count: 1 << 20))
        try volume.reopen()
        try volume.fileSystem.close()
        #expect(try VolumeCheck.leaks(volume) == 0)
    }

    @Test
    func `12.46 a users file that would lock users out is refused, and the old table stays`() throws
    {
        let volume = try TestVolume()
        let caller = volume.caller
        let good = try volume.fileSystem.contents(of: "users", in: "adm", as: caller)
        let bad: [(String, Int)] = [
            ("", 1), ("-1:adm::glenda\n0:none::\n1:glenda:glenda:", 3),
            ("-1:adm::nobody\n0:none::\n", 1), ("-1:adm::\n0:none\n", 2),
            ("-1:adm::\n0:none::\nx:y::\n", 3), ("-1:adm:none:\n0:none::\n", 1),
            ("# only a comment\n", 1), ("-1:adm::\n-1:none::\n", 2),
        ]
        for (text, line) in bad {
            try volume.fileSystem.write(Array(text.utf8), to: "users", in: "adm", as: caller)
            do {
                try volume.fileSystem.reloadUsers()
                Issue.record("accepted: \(text)")
            } catch FileError.badUsersFile(let found, _) {
                #expect(found == line, "\(text)")
            }
            #expect(volume.fileSystem.users.id(of: Array("glenda".utf8)) == TestVolume.user)
        }
        try volume.fileSystem.write(
            good + Array("2:rob:rob:glenda\n".utf8), to: "users", in: "adm", as: caller)
        try volume.fileSystem.reloadUsers()
        #expect(volume.fileSystem.users.id(of: Array("rob".utf8)) == UserID(rawValue: 2))
    }
}
