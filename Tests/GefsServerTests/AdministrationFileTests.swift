import GefsClient
import GefsControl
import GefsEngine
import NineP
import Testing

@testable import GefsServer

/// The files `ctl` and `status` of disks of dialect N. Source: SEMANTICS 9; FORMAT 11.
@Suite struct AdministrationFileTests {
    private func makeServer(options: VolumeOptions = TestServer.options) throws -> TestServer {
        try TestServer(image: try TestServer.imageOfDialectN(), options: options, hasConsole: true)
    }

    /// Writes a line to `ctl`; nil where it was taken, else the error.
    private func write(
        _ line: String, _ test: TestServer, user: String = "glenda", at offset: UInt64 = 0,
        mode: UInt8 = OpenFlags.write
    ) throws -> String? {
        let root = try test.root(user, "adm")
        do throws(ClientError) {
            let file = try root.walk("ctl")
            try file.open(mode)
            try file.write(Array(line.utf8), at: offset)
            return nil
        } catch .server(let text) {
            return text
        }
    }

    private func status(_ test: TestServer, user: String = "none") throws -> [String] {
        let file = try test.root(user, "adm").walk("status")
        try file.open()
        return String(decoding: try file.readAll(), as: UTF8.self).split(separator: "\n")
            .map(String.init)
    }

    @Test func `commands are done when the write returns`() throws {
        let test = try makeServer()
        #expect(try write("snap main one\n", test) == nil)
        #expect(try write("fork one two", test) == nil)
        #expect(
            try status(test).suffix(5) == [
                "fork adm", "snap empty", "fork main", "snap one", "fork two",
            ])
        #expect(try write("delsnap one\n", test) == nil)
        #expect(try !status(test).contains("snap one"))
        for line in ["sync", "users", "check", "debug 1", "usereserve 1", "usereserve 0"] {
            #expect(try write(line, test) == nil, "\(line)")
        }
    }

    @Test func `status tells how full the disk is, and its labels`() throws {
        let test = try makeServer()
        let lines = try status(test)
        #expect(lines[0] == "gefs p9")
        let usage = lines[1].split(separator: " ")
        #expect(usage.count == 4 && usage[0] == "usage")
        let space = test.fileSystem.space()
        #expect(usage[3] == "\(space.size)")
        #expect(UInt64(usage[2]) == space.used)
        #expect(lines.contains("fork main"))
    }

    @Test func `12_55 what is refused is refused for its own reason`() throws {
        let test = try makeServer()
        let long = String(repeating: "x", count: 64)
        for (line, text) in [
            ("snap nowhere one", "snap -- does not exist"),
            ("fork nowhere one", "snap -- does not exist"),
            ("delsnap nowhere", "snap -- does not exist"),
            ("snap main adm", "snap -- reserved name"),
            ("delsnap empty", "snap -- reserved name"),
            ("snap main empty", "snap -- reserved name"),
            ("snap main main", "snap -- already exists"),
            ("fork main \(long)", "snap -- bad name"),
            ("dance", "invalid control message"),
            ("", "invalid control message"),
            ("snap main", "invalid control message"),
            ("snap -m main one", "invalid control message"),
            ("snap -l", "invalid control message"),
            ("usereserve x", "invalid control message"),
            (String(repeating: "x", count: 256), "invalid control message"),
        ] where !line.isEmpty {
            #expect(try write(line, test) == text, "\(line)")
        }
        #expect(try write("sync", test, at: 1) == "invalid control message")
        #expect(try test.fileSystem.labels().count == 3)
    }

    @Test func `12_52 a label that is attached stays, however often its deletion is asked for`()
        throws
    {
        let test = try makeServer()
        #expect(try write("fork main two", test) == nil)
        let root = try test.root("glenda", "two")
        for _ in 0..<5 {
            #expect(try write("delsnap two", test) == "snap -- is currently mounted")
        }
        #expect(try root.status().isDirectory)
        try root.clunk()
        #expect(try write("delsnap two", test) == nil)
    }

    @Test func `the file's mode says who may give commands`() throws {
        let test = try makeServer()
        let denied = "permission denied"
        #expect(try write("sync", test, user: "bob") == denied)
        #expect(try write("sync", test, user: "none") == denied)
        #expect(try write("sync", test, user: "adm") == nil)
        #expect(try status(test, user: "bob").first == "gefs p9")
        let control = try test.root("adm", "adm").walk("ctl")
        #expect(try control.status().mode == 0o664)
        #expect(try control.status().user == "adm")
        try control.change(RemoteChanges(mode: 0o666))
        #expect(try write("sync", test, user: "bob") == nil)
        try test.root("adm", "adm").walk("ctl").change(RemoteChanges(mode: 0o600))
        #expect(try write("sync", test) == denied)
        #expect(try write("sync", test, user: "adm") == nil)
    }

    @Test func `the files can be neither filled nor removed nor renamed`() throws {
        let test = try makeServer()
        let root = try test.root("glenda", "%adm")
        let denied = ClientError.server("permission denied")
        for name in ["ctl", "status"] {
            #expect(throws: denied) { try root.walk(name).remove() }
            #expect(throws: denied) { try root.walk(name).change(RemoteChanges(name: "other")) }
            #expect(throws: denied) { try root.walk(name).change(RemoteChanges(length: 5)) }
            #expect(throws: denied) { try root.walk(name).open(OpenFlags.removeOnClose) }
        }
        let status = try root.walk("status")
        try status.open(OpenFlags.write)
        #expect(throws: denied) { try status.write([1], at: 0) }
        #expect(try write("sync", test, mode: OpenFlags.write | OpenFlags.truncate) == nil)
        // A branch of adm has the files, but nobody carries them out.
        #expect(try write("fork adm copy", test) == nil)
        let copy = try test.root("glenda", "%copy").walk("ctl")
        try copy.open(OpenFlags.readWrite)
        #expect(throws: denied) { try copy.write(Array("halt".utf8), at: 0) }
        #expect(try copy.readAll().isEmpty)
    }

    @Test func `a disk of dialect R has no such files`() throws {
        let test = try TestServer(hasConsole: true)
        let names = try test.root("glenda", "adm").list().map(\.nameText)
        #expect(names == ["users"])
    }

    @Test func `12_53 a server that was started read-only answers everything`() throws {
        var options = TestServer.options
        options.isReadOnly = true
        let test = try makeServer(options: options)
        // As the disk has it.
        #expect(try status(test).isEmpty)
        for line in ["sync", "snap main one", "delsnap main", "usereserve 1", "halt"] {
            #expect(try write(line, test) == "file system read only", "\(line)")
        }
        let root = try test.root()
        try root.sync()
        #expect(throws: ClientError.server("file system read only")) {
            try root.walk().create("file", permissions: 0o644)
        }
        #expect(throws: ClientError.server("file system read only")) {
            try root.change(RemoteChanges(mode: 0x8000_01C0))
        }
    }

    @Test func `status is of one moment, however it is read`() throws {
        let test = try makeServer()
        let file = try test.root("glenda", "adm").walk("status")
        try file.open()
        let start = try file.readOnce(at: 0, count: 8)
        #expect(try write("snap main another-label", test) == nil)
        var rest = start
        while true {
            let piece = try file.readOnce(at: UInt64(rest.count), count: 7)
            if piece.isEmpty { break }
            rest += piece
        }
        let text = String(decoding: rest, as: UTF8.self)
        #expect(text.hasSuffix("fork main\n") && !text.contains("another-label"))
        #expect(try file.readOnce(at: .max, count: 10).isEmpty)
        let again = String(decoding: try file.readAll(), as: UTF8.self)
        #expect(again.contains("snap another-label"))
    }
}
