import GefsCrash
import GefsFormat
import Testing

@testable import GefsEngine

/// Volumes with the feature `posix`: several names, extended attributes, change times.
@Suite
struct PosixVolumeTests {
    private let caller = Caller(user: .none, isPermissive: true, door: 7)

    /// A volume with the words that these tests need.
    private final class Host {
        let volume: TestVolume
        let caller: Caller
        var root: FileHandle

        init(_ caller: Caller) throws {
            volume = try TestVolume(features: .posix)
            self.caller = caller
            root = try volume.fileSystem.attach(Array("main".utf8), as: caller)
        }

        var fileSystem: FileSystem { volume.fileSystem }

        func named<R>(
            _ text: String, _ body: (UnsafeRawBufferPointer) throws(FileError) -> R
        ) throws -> R {
            try Array(text.utf8).withBytes(body)
        }

        func make(_ name: String, _ content: String = "", mode: UInt32 = 0o644) throws -> FileHandle
        {
            let creation = PosixCreation(
                mode: mode, owner: .none, group: .none, content: Array(content.utf8))
            return try named(name) { (bytes) throws(FileError) in
                try fileSystem.make(bytes, in: root, creation, as: caller).0
            }
        }

        func status(_ name: String) throws -> PosixStatus {
            let (handle, status) = try named(name) { (bytes) throws(FileError) in
                try fileSystem.lookUp(bytes, in: root, as: caller)
            }
            fileSystem.close(handle)
            return status
        }

        func content(_ name: String) throws -> String {
            let (handle, _) = try named(name) { (bytes) throws(FileError) in
                try fileSystem.lookUp(bytes, in: root, as: caller)
            }
            defer { fileSystem.close(handle) }
            return String(
                decoding: try fileSystem.content(of: handle, atMost: 1 << 20, as: caller),
                as: UTF8.self)
        }

        func link(_ file: FileHandle, _ name: String) throws {
            let handle = try named(name) { (bytes) throws(FileError) in
                try fileSystem.link(file, to: bytes, in: root, as: caller).0
            }
            fileSystem.close(handle)
        }

        func unlink(_ name: String) throws {
            try named(name) { (bytes) throws(FileError) in
                try fileSystem.removeName(bytes, in: root, isDirectory: false, as: caller)
            }
        }

        func rename(_ old: String, _ new: String, _ rule: RenameRule = .replace) throws {
            try named(old) { (old) throws(FileError) in
                try Array(new.utf8).withBytes { (new) throws(FileError) in
                    try fileSystem.rename(old, in: root, to: new, in: root, rule, as: caller)
                }
            }
        }

        func names() throws -> [String] {
            try fileSystem.entries(of: root, after: nil, limit: 1000, as: caller)
                .map { String(decoding: $0.name, as: UTF8.self) }
        }

        /// Closes the volume, checks it, and opens it again.
        func reopen() throws {
            fileSystem.close(root)
            try volume.reopen()
            let image = volume.device.image(after: volume.device.events.count)
            let report = Checker.check(MemoryDevice(image, isReadOnly: true))
            #expect(report.errorCount == 0 && report.warningCount == 0, "\(report.counts)")
            root = try fileSystem.attach(Array("main".utf8), as: caller)
        }
    }

    @Test
    func `a file has several names, and goes with the last`() throws {
        let host = try Host(caller)
        let file = try host.make("a", "hello")
        try host.link(file, "b")
        try host.link(file, "c")
        #expect(try host.status("b").linkCount == 3)
        #expect(try host.status("a").qidPath == host.status("c").qidPath)
        try host.unlink("a")
        host.fileSystem.close(file)
        try host.reopen()
        #expect(try host.status("b").linkCount == 2)
        #expect(try host.content("c") == "hello")
        #expect(throws: FileError.notFound) { try host.status("a") }
        try host.rename("b", "x")
        // Two names of one file: POSIX says that nothing happens.
        try host.rename("x", "c")
        #expect(try host.names() == ["c", "x"])
        try host.unlink("c")
        try host.unlink("x")
        try host.reopen()
        #expect(try host.names().isEmpty)
    }

    @Test
    func `renames over and beside files with several names keep all that is counted`() throws {
        let host = try Host(caller)
        let (one, two) = (try host.make("one", "1"), try host.make("two", "2"))
        try host.link(one, "one2")
        try host.link(two, "two2")
        try host.rename("one", "two", .exchange)
        #expect(try host.content("one") == "2")
        #expect(try host.content("two") == "1")
        try host.rename("one", "one2")
        #expect(try host.status("two").linkCount == 1)
        #expect(try host.status("one2").linkCount == 2)
        host.fileSystem.close(one)
        host.fileSystem.close(two)
        try host.reopen()
        #expect(try host.names() == ["two", "one2", "two2"])
        #expect(try host.content("two2") == "2")
    }

    @Test
    func `an open file keeps its contents when its last name goes`() throws {
        let host = try Host(caller)
        let file = try host.make("a", "kept")
        try host.link(file, "b")
        try host.unlink("a")
        try host.unlink("b")
        #expect(try host.fileSystem.posixStatus(file).linkCount == 0)
        let bytes = try host.fileSystem.content(of: file, atMost: 100, as: caller)
        #expect(bytes == Array("kept".utf8))
        host.fileSystem.close(file)
        try host.reopen()
    }

    @Test
    func `9P removes and renames the name that its handle came by`() throws {
        let host = try Host(caller)
        let file = try host.make("a", "x")
        try host.link(file, "b")
        host.fileSystem.close(file)
        let handle = try host.named("b") { (bytes) throws(FileError) in
            try host.fileSystem.walk(from: host.root, bytes, as: caller)
        }
        #expect(try host.fileSystem.status(handle, as: caller).name == Array("b".utf8))
        var change = AttributeChanges()
        change.name = Array("c".utf8)
        try host.fileSystem.change(handle, change, as: caller)
        #expect(try host.names() == ["a", "c"])
        try host.fileSystem.remove(handle, as: caller)
        host.fileSystem.close(handle)
        #expect(try host.names() == ["a"])
        try host.reopen()
        #expect(try host.status("a").linkCount == 1)
    }

    @Test
    func `going back makes links what they were`() throws {
        let host = try Host(caller)
        let file = try host.make("a", "x")
        try host.fileSystem.change(
            [.snapshot(of: Array("main".utf8), as: Array("before".utf8))], as: caller)
        try host.link(file, "b")
        try host.fileSystem.change(
            [.snapshot(of: Array("main".utf8), as: Array("linked".utf8))], as: caller)
        for (state, count) in [("before", 1), ("linked", 2), ("before", 1)] {
            try host.fileSystem.change(
                [.rollback(branch: Array("main".utf8), to: Array(state.utf8), keeping: nil)],
                as: caller)
            #expect(try host.status("a").linkCount == UInt32(count), "\(state)")
            #expect(try host.fileSystem.posixStatus(file).linkCount == UInt32(count), "\(state)")
        }
        try host.unlink("a")
        host.fileSystem.close(file)
        try host.reopen()
        #expect(try host.names().isEmpty)
    }

    @Test
    func `attributes of any size are kept, listed, replaced and removed`() throws {
        let host = try Host(caller)
        let file = try host.make("a")
        let long = [UInt8](repeating: 7, count: 65536)
        let values: [(String, [UInt8])] = [
            ("user.empty", []), ("user.exact", [UInt8](repeating: 1, count: 512)),
            ("user.long", long), ("user.short", [1, 2, 3]),
        ]
        for (name, value) in values {
            _ = try host.fileSystem.setAttribute(
                Array(name.utf8), of: file, to: value, as: caller)
        }
        host.fileSystem.close(file)
        try host.reopen()
        let (again, status) = try host.named("a") { (bytes) throws(FileError) in
            try host.fileSystem.lookUp(bytes, in: host.root, as: caller)
        }
        #expect(status.hasAttributes)
        for (name, value) in values {
            let found = try host.fileSystem.attribute(Array(name.utf8), of: again, as: caller)
            #expect(found == value, "\(name)")
        }
        #expect(
            try host.fileSystem.attributeNames(of: again, as: caller)
                == values.map { Array($0.0.utf8) })
        let short = Array("user.long".utf8)
        _ = try host.fileSystem.setAttribute(short, of: again, to: [9], .replace, as: caller)
        #expect(try host.fileSystem.attribute(short, of: again, as: caller) == [9])
        #expect(throws: FileError.exists) {
            try host.fileSystem.setAttribute(short, of: again, to: [9], .create, as: caller)
        }
        for (name, _) in values {
            _ = try host.fileSystem.setAttribute(
                Array(name.utf8), of: again, to: nil, as: caller)
        }
        #expect(throws: FileError.noAttribute) {
            try host.fileSystem.setAttribute(short, of: again, to: nil, as: caller)
        }
        #expect(try !host.status("a").hasAttributes)
        _ = try host.fileSystem.setAttribute(short, of: again, to: long, as: caller)
        host.fileSystem.close(again)
        try host.reopen()
        // The attributes go with the file.
        try host.unlink("a")
        try host.reopen()
    }

    @Test
    func `a file without a name has its attributes as long as it is open, and leaves none`() throws
    {
        let host = try Host(caller)
        let file = try host.make("a", "kept")
        let (short, long) = (Array("user.short".utf8), Array("user.long".utf8))
        let value = [UInt8](repeating: 7, count: 3000)
        let fileSystem = host.fileSystem
        _ = try fileSystem.setAttribute(short, of: file, to: [1], as: caller)
        _ = try fileSystem.setAttribute(long, of: file, to: value, as: caller)
        try host.unlink("a")
        #expect(try fileSystem.posixStatus(file).hasAttributes)
        #expect(try fileSystem.attributeNames(of: file, as: caller) == [long, short])
        #expect(try fileSystem.attribute(long, of: file, as: caller) == value)
        // They change as those of any file.
        #expect(throws: FileError.exists) {
            try fileSystem.setAttribute(short, of: file, to: [], .create, as: caller)
        }
        #expect(throws: FileError.noAttribute) {
            try fileSystem.setAttribute([120], of: file, to: [], .replace, as: caller)
        }
        #expect(throws: FileError.attributeTooBig) {
            for number in 0..<9 {
                _ = try fileSystem.setAttribute(
                    Array("user.\(number)".utf8), of: file,
                    to: [UInt8](repeating: 0, count: 65536), as: caller)
            }
        }
        for number in 0..<7 {
            _ = try fileSystem.setAttribute(
                Array("user.\(number)".utf8), of: file, to: nil, as: caller)
        }
        _ = try fileSystem.setAttribute(long, of: file, to: nil, as: caller)
        var changes = PosixChanges()
        changes.permissions = 0o600
        let status = try fileSystem.setAttribute(
            short, of: file, to: [2, 3], changing: changes, as: caller)
        #expect(PosixMode.permissions(of: status.mode) == 0o600)
        #expect(try fileSystem.attribute(long, of: file, as: caller) == nil)
        #expect(try fileSystem.attribute(short, of: file, as: caller) == [2, 3])
        _ = try fileSystem.setAttribute(short, of: file, to: nil, as: caller)
        #expect(try !fileSystem.posixStatus(file).hasAttributes)
        _ = try fileSystem.setAttribute(short, of: file, to: [4], as: caller)
        fileSystem.close(file)
        try host.reopen()
        #expect(try host.names().isEmpty)
    }

    @Test
    func `a file that is made without a name gets one, with all that it has, or goes`() throws {
        let host = try Host(caller)
        let fileSystem = host.fileSystem
        let name = Array("user.a".utf8)
        func nameless() throws -> FileHandle {
            var creation = PosixCreation(mode: 0o600, owner: .none, group: .none)
            creation.attributes = [(name: name, value: [1, 2])]
            let (file, status) = try fileSystem.makeNameless(
                in: host.root, creation, as: caller)
            #expect(status.linkCount == 0 && status.isRemoved && status.hasAttributes)
            let bytes = [UInt8](repeating: 7, count: 600 * Geometry.blockBytes)
            _ = try bytes.withBytes { (bytes) throws(FileError) in
                try fileSystem.writeUnchecked(file, at: 0, from: bytes, as: caller)
            }
            return file
        }
        let file = try nameless()
        try fileSystem.sync(as: caller)
        // Blocks that lie beyond its end are not left behind.
        var changes = PosixChanges()
        changes.length = 100
        _ = try fileSystem.change(file, changes, as: caller)
        #expect(try host.names().isEmpty)
        try host.link(file, "a")
        try host.link(file, "b")
        #expect(try host.status("a").linkCount == 2)
        try host.unlink("a")
        try host.unlink("b")
        // It has had its names.
        #expect(throws: FileError.notFound) { try host.link(file, "c") }
        fileSystem.close(file)
        let second = try nameless()
        try host.link(second, "kept")
        fileSystem.close(second)
        let third = try nameless()
        try fileSystem.sync(as: caller)
        let crashed = host.volume.device.imageAtLastFlush()
        fileSystem.close(third)
        try host.reopen()
        #expect(try host.names() == ["kept"])
        let (kept, status) = try host.named("kept") { (bytes) throws(FileError) in
            try host.fileSystem.lookUp(bytes, in: host.root, as: caller)
        }
        #expect(status.length == UInt64(600 * Geometry.blockBytes))
        #expect(try host.fileSystem.attribute(name, of: kept, as: caller) == [1, 2])
        host.fileSystem.close(kept)
        // A crash takes away the one that was left without.
        let again = try TestVolume(image: crashed)
        let root = try again.fileSystem.attach(Array("main".utf8), as: caller)
        again.fileSystem.drainReclaims()
        again.fileSystem.close(root)
        try again.fileSystem.close()
        let used = { (device: RecordingDevice) in
            let report = Checker.check(
                MemoryDevice(device.image(after: device.events.count), isReadOnly: true))
            #expect(report.errorCount == 0 && report.warningCount == 0, "\(report.counts)")
            return report.totals.verifiedBlocks
        }
        #expect(used(again.device) <= used(host.volume.device) + 2)
    }

    @Test
    func `directories count those in them`() throws {
        let host = try Host(caller)
        let top = try host.make("top", mode: ModeBits.directory | 0o755)
        for name in ["x", "y"] {
            host.fileSystem.close(
                try host.named(name) { (bytes) throws(FileError) in
                    try host.fileSystem.make(
                        bytes, in: top,
                        PosixCreation(
                            mode: ModeBits.directory | 0o755, owner: .none, group: .none),
                        as: caller
                    ).0
                })
        }
        #expect(try host.status("top").linkCount == 4)
        try host.named("x") { (old) throws(FileError) in
            try host.fileSystem.rename(
                old, in: top, to: old, in: host.root, .replace, as: caller)
        }
        try host.named("y") { (name) throws(FileError) in
            try host.fileSystem.removeName(name, in: top, isDirectory: true, as: caller)
        }
        #expect(try host.status("top").linkCount == 2)
        host.fileSystem.close(top)
        try host.reopen()
    }

    @Test
    func `change times stay, and names are any bytes up to 255`() throws {
        let host = try Host(caller)
        let name = "\u{1}\n" + String(repeating: "n", count: 253)
        host.fileSystem.close(try host.make(name, "x"))
        var changes = PosixChanges()
        changes.modificationTime = 5
        let (file, _) = try host.named(name) { (bytes) throws(FileError) in
            try host.fileSystem.lookUp(bytes, in: host.root, as: caller)
        }
        let changed = try host.fileSystem.change(file, changes, as: caller)
        try host.link(file, String(repeating: "m", count: 255))
        host.fileSystem.close(file)
        #expect(throws: FileError.nameTooLong) {
            try host.make(String(repeating: "n", count: 256))
        }
        try host.reopen()
        let status = try host.status(name)
        #expect(status.modificationTime == 5)
        #expect(status.changeTime >= changed.changeTime && status.changeTime > 5)
        #expect(status.linkCount == 2)
    }

    @Test
    func `a volume without the feature has no place for it`() throws {
        let volume = try TestVolume()
        let root = try volume.fileSystem.attach(Array("main".utf8), as: caller)
        try volume.makeFile("f")
        let (file, _) = try volume.fileSystem.lookUp(Array("f".utf8), in: root, as: caller)
        #expect(throws: FileError.unsupported) {
            try Array("g".utf8).withBytes { (bytes) throws(FileError) in
                try volume.fileSystem.link(file, to: bytes, in: root, as: caller).0
            }
        }
        #expect(throws: FileError.unsupported) {
            try volume.fileSystem.setAttribute([1], of: file, to: [], as: caller)
        }
        volume.fileSystem.close(file)
        volume.fileSystem.close(root)
    }
}
