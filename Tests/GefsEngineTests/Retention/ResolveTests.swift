import GefsFormat
import Testing

@testable import GefsEngine

@Suite
struct ResolveTests {
    private func resolve(_ name: String, _ volume: TestVolume) throws -> String {
        String(decoding: try volume.fileSystem.resolve(Array(name.utf8)), as: UTF8.self)
    }

    private func change(_ changes: HistoryChange..., in volume: TestVolume) throws {
        try volume.fileSystem.change(changes, as: volume.caller)
    }

    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    /// main with snapshots a (12:00), b and c (12:10, 12:20, one state), d (12:30), a state behind
    /// them, and a fork of b made at 12:40 with a snapshot of its own at 12:50.
    private func history(_ clock: ManualClock) throws -> TestVolume {
        let volume = try TestVolume(options: clock.options)
        let main = bytes("main")
        try volume.makeFile("one")
        try change(.snapshot(of: main, as: bytes("a")), in: volume)
        try volume.makeFile("two")
        clock.advance(seconds: 600)
        try change(.snapshot(of: main, as: bytes("b")), in: volume)
        clock.advance(seconds: 600)
        try change(.snapshot(of: main, as: bytes("c")), in: volume)
        try volume.makeFile("three")
        clock.advance(seconds: 600)
        try change(.snapshot(of: main, as: bytes("d")), in: volume)
        try volume.makeFile("four")
        try volume.sync()
        clock.advance(seconds: 600)
        try change(.fork(of: bytes("b"), as: bytes("work")), in: volume)
        clock.advance(seconds: 600)
        let root = try volume.root("work")
        try bytes("five").withBytes { (name) throws(FileError) -> Void in
            try volume.fileSystem.create(
                in: root, name: name, mode: 0o644, OpenMode(.readWrite), as: volume.caller)
        }
        volume.fileSystem.close(root)
        try change(.snapshot(of: bytes("work"), as: bytes("w")), in: volume)
        return volume
    }

    @Test
    func `a time names the last snapshot that was made until then`() throws {
        let volume = try history(ManualClock())
        let expected = [
            "12:00": "a", "12:09:59": "a", "12:10": "b", "12:20": "c", "12:29:59": "c",
            "12:30": "d", "23:59:59": "d", "13:00+01:00": "a", "10:29-02:00": "c",
        ]
        for (time, label) in expected {
            #expect(try resolve("main@2026-11-22T\(time)", volume) == label)
        }
        #expect(try resolve("main@2026-11-23", volume) == "d")
        #expect(try resolve("main@-20m", volume) == "d")
        #expect(try resolve("main@-20m1s", volume) == "c")
        #expect(try resolve("main@-50m", volume) == "a")
    }

    @Test
    func `a fork goes on in the line that it comes from`() throws {
        let volume = try history(ManualClock())
        #expect(try resolve("work@-0s", volume) == "w")
        // Not d, which main made after the fork's beginning.
        #expect(try resolve("work@-1s", volume) == "c")
        #expect(try resolve("work@2026-11-22T12:05", volume) == "a")
        #expect(try resolve("work~0", volume) == "work")
        #expect(try resolve("work~1", volume) == "w")
        #expect(try resolve("work~2", volume) == "b")
        #expect(try resolve("work~3", volume) == "a")
        #expect(throws: FileError.branchName(.tooFew(count: 3), bytes("work"))) {
            try resolve("work~4", volume)
        }
    }

    @Test
    func `states are counted, not labels`() throws {
        let volume = try history(ManualClock())
        #expect(try resolve("main~0", volume) == "main")
        #expect(try resolve("main~1", volume) == "d")
        #expect(try resolve("main~2", volume) == "b")
        #expect(try resolve("main~3", volume) == "a")
        #expect(try resolve("d~0", volume) == "d")
        #expect(try resolve("d~1", volume) == "b")
        #expect(try resolve("c~1", volume) == "a")
        // The newest one is the same before and after the branch goes on.
        try change(.snapshot(of: bytes("main"), as: bytes("e")), in: volume)
        #expect(try resolve("main~1", volume) == "e")
        try volume.makeFile("six")
        try volume.sync()
        #expect(try resolve("main~1", volume) == "e")
        #expect(try resolve("main@-30m~1", volume) == "a")
        #expect(try resolve("main~2@-40m", volume) == "b")
    }

    @Test
    func `a label behind the sign is a snapshot`() throws {
        let volume = try history(ManualClock())
        #expect(try resolve("main@a", volume) == "a")
        #expect(try resolve("work@a", volume) == "a")
        #expect(try resolve("work@w", volume) == "w")
        for name in ["main@work", "main@nothing", "main@", "main@2026-11-31"] {
            #expect(throws: FileError.self) { try resolve(name, volume) }
        }
        #expect(throws: FileError.branchName(.noSuchSnapshot, bytes("main"))) {
            try resolve("main@work", volume)
        }
        #expect(throws: FileError.unknownLabel) { try resolve("nothing@a", volume) }
        #expect(throws: FileError.unknownLabel) { try resolve("nothing~1", volume) }
        #expect(throws: FileError.unknownLabel) { try resolve("dump~0", volume) }
    }

    @Test
    func `what a branch has left behind by going back is found`() throws {
        let clock = ManualClock()
        let volume = try history(clock)
        try change(
            .rollback(branch: bytes("main"), to: bytes("a"), keeping: bytes("main@left")),
            in: volume)
        #expect(try resolve("main@b", volume) == "b")
        #expect(try resolve("main@-0s", volume) == "main@left")
        #expect(try resolve("main~1", volume) == "a")
    }

    @Test
    func `a label of exactly that name comes first`() throws {
        let volume = try history(ManualClock())
        try change(
            .snapshot(of: bytes("work"), as: bytes("main@2026-11-22")),
            .snapshot(of: bytes("work"), as: bytes("main~1")), in: volume)
        #expect(try resolve("main@2026-11-22", volume) == "main@2026-11-22")
        #expect(try resolve("main~1", volume) == "main~1")
    }

    @Test
    func `what is too old is an error that tells the oldest`() throws {
        let clock = ManualClock()
        let noon = clock.nanoseconds
        let volume = try history(clock)
        let tooEarly = FileError.branchName(
            .tooEarly(oldest: bytes("a"), nanoseconds: noon), bytes("main"))
        #expect(throws: tooEarly) { try resolve("main@2026-11-22T11:59", volume) }
        #expect(throws: tooEarly) { try resolve("main@-10d", volume) }
        #expect(throws: FileError.branchName(.noSnapshots, bytes("adm"))) {
            try resolve("adm@-1s", volume)
        }
    }

    @Test
    func `names are attached, with the tree as it was`() throws {
        let volume = try history(ManualClock())
        for (name, files) in [
            "main@2026-11-22T12:15": ["one", "two"], "work~1": ["five", "one", "two"],
            "main@a": ["one"],
        ] {
            let root = try volume.root(name)
            defer { volume.fileSystem.close(root) }
            let found = try ["one", "two", "three", "four", "five"].filter { file in
                do {
                    let handle = try bytes(file).withBytes {
                        (raw) throws(FileError) -> FileHandle in
                        try volume.fileSystem.walk(from: root, raw, as: volume.caller)
                    }
                    volume.fileSystem.close(handle)
                    return true
                } catch FileError.notFound {
                    return false
                }
            }
            #expect(found.sorted() == files, "\(name)")
            #expect(throws: FileError.readOnly) {
                try bytes("new").withBytes { (raw) throws(FileError) -> Void in
                    try volume.fileSystem.create(
                        in: root, name: raw, mode: 0o644, OpenMode(.readWrite), as: volume.caller)
                }
            }
        }
    }

    @Test
    func `dump knows labels only, and event loops do not look for others`() throws {
        let volume = try history(ManualClock())
        let dump = try volume.root("dump")
        defer { volume.fileSystem.close(dump) }
        #expect(throws: FileError.notFound) {
            try bytes("main~1").withBytes { (raw) throws(FileError) -> FileHandle in
                try volume.fileSystem.walk(from: dump, raw, as: volume.caller)
            }
        }
        var hasty = volume.caller
        hasty.mayBlock = false
        #expect(throws: FileError.wouldBlock) {
            try volume.fileSystem.attach(bytes("main~1"), as: hasty)
        }
        #expect(throws: FileError.unknownLabel) {
            try volume.fileSystem.attach(bytes("nothing"), as: hasty)
        }
    }

    @Test
    func `times outlive a stop, and those of automatic snapshots are in their names`() throws {
        let clock = ManualClock()
        let volume = try history(clock)
        let name = "main@hour.2026.11.20_07:08:09"
        try change(.rename(bytes("b"), to: bytes(name)), in: volume)
        try volume.reopen()
        #expect(try resolve("main@2026-11-22T12:10", volume) == name)
        #expect(try resolve("main@2026-11-22T12:30", volume) == "d")
    }

    @Test(.enabled(if: ReferenceImages.folder != nil, Comment(rawValue: ReferenceImages.absence)))
    func `histories of the original are resolved`() throws {
        let expected: [String: [String: String]] = [
            "d-killed": [
                "main~1": "live1", "main~2": "main@day.2026.11.22_13:56:50",
                "main@minute": "main@minute.2026.11.22_13:56:50",
                "main@hour.2026.11.22": "main@hour.2026.11.22_13:56:50",
                "main@2026-11-22T13:56:50": "main@day.2026.11.22_13:56:50",
                "main@live1": "live1",
            ],
            "N-d-killed": [
                "main~1": "main@minute.2026.11.22_14:34:04", "main~2": "live1",
                "main~3": "main@day.2026.11.22_14:33:59",
                "main@2026-11-22T14:34": "main@day.2026.11.22_14:33:59",
                "main@-0s": "main@minute.2026.11.22_14:34:04",
                "main@minute.2026": "main@minute.2026.11.22_14:34:04",
                "adm~1": "adm@day.2026.11.22_14:33:59",
            ],
        ]
        for (image, names) in expected {
            try ReferenceImages.withImage(image) { path in
                var options = TestVolume.options
                options.isReadOnly = true
                options.clock = { 4_000_000_000_000_000_000 }
                let device = try FileDevice(path: path, access: .readOnly)
                let fileSystem = try FileSystem.open(device, options: options)
                defer { try? fileSystem.close() }
                for (name, label) in names {
                    let found = try fileSystem.resolve(bytes(name))
                    #expect(String(decoding: found, as: UTF8.self) == label, "\(image) \(name)")
                }
            }
        }
    }
}
