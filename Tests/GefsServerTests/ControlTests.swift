import GefsClient
import GefsEngine
import NineP
import Synchronization
import Testing

@testable import GefsServer

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

@Suite struct ControlTests {
    /// Answers with what it was asked, and by whom.
    private struct Echo: ControlHandler {
        func run(_ command: String, user: UserID) -> String {
            "\(user.rawValue) \(command)\n"
        }
    }

    private func makeServer() throws -> TestServer {
        try TestServer { $0.controlHandler = Echo() }
    }

    @Test func `a line written to ctl is run, and its reply is read from the same fid`() throws {
        let test = try makeServer()
        let client = try Client(dialing: "unix:" + test.controlPath)
        let root = try client.attach(user: "glenda", tree: ".ctl")
        let first = try root.walk("ctl")
        let second = try root.walk("ctl")
        try first.open(OpenFlags.readWrite)
        try second.open(OpenFlags.readWrite)
        try first.write(Array("df -h\n".utf8), at: 0)
        try second.write(Array("sync".utf8), at: 0)
        #expect(try first.readAll() == Array("1 df -h\n".utf8))
        #expect(try second.readAll() == Array("1 sync\n".utf8))
        #expect(try first.readOnce(at: 2, count: 2) == Array("df".utf8))
        #expect(try first.readOnce(at: 1 << 62, count: 2).isEmpty)
        try first.write(Array("again\r\n".utf8), at: 0)
        #expect(try first.readAll() == Array("1 again\n".utf8))
    }

    @Test func `the owner of the server needs no user of the file system`() throws {
        let test = try makeServer()
        let client = try Client(dialing: "unix:" + test.controlPath)
        for user in ["", "no-such-user", "adm"] {
            let control = try client.attach(user: user, tree: ".ctl").walk("ctl")
            try control.open(OpenFlags.readWrite)
            try control.write(Array("x".utf8), at: 0)
            #expect(try control.readAll() == Array("-1 x\n".utf8))
        }
    }

    @Test func `the control tree has one file and cannot be changed`() throws {
        let test = try makeServer()
        let client = try Client(dialing: "unix:" + test.controlPath)
        let root = try client.attach(user: "glenda", tree: ".ctl")
        let entries = try root.list()
        #expect(entries.map(\.nameText) == ["ctl"])
        #expect(entries[0].mode == 0o600)
        #expect(try root.status().nameText == "/")
        #expect(try root.walk("ctl").status().user == "adm")
        #expect(throws: ClientError.server("directory entry not found")) { try root.walk("x") }
        #expect(try root.walk([Array("..".utf8), Array("ctl".utf8)]).qid.path == 1)
        let denied = ClientError.server("permission denied")
        #expect(throws: denied) { try root.walk().create("x", permissions: 0o644) }
        #expect(throws: denied) { try root.walk("ctl").remove() }
        #expect(throws: denied) { try root.walk("ctl").change(RemoteChanges(mode: 0o777)) }
        #expect(throws: denied) { try root.walk().open(OpenFlags.write) }
        let closed = try root.walk("ctl")
        #expect(throws: ClientError.server("read/write -- on non open fid")) {
            try closed.write([1], at: 0)
        }
        try root.sync()
    }

    @Test func `the control socket serves files as well, with every right`() throws {
        let test = try makeServer()
        let client = try Client(dialing: "unix:" + test.controlPath)
        let root = try client.attach(user: "bob", tree: "%main")
        let file = try root.walk()
        try file.create("file", permissions: 0o600)
        try file.change(RemoteChanges(user: "glenda"))
        #expect(try file.status().user == "glenda")
    }

    @Test func `only the control socket has a control tree`() throws {
        let test = try makeServer()
        let refusal = ClientError.server("attach -- bad specifier")
        #expect(throws: refusal) { try test.root("glenda", ".ctl") }
        #expect(throws: refusal) {
            try Client(dialing: "unix:" + test.peerPath).attach(user: "glenda", tree: ".ctl")
        }
    }

    @Test func `a command that takes long holds up nobody`() throws {
        final class Slow: ControlHandler {
            let state = TestCondition((isRunning: false, mayEnd: false))

            func run(_ command: String, user: UserID) -> String {
                state.change { $0.isRunning = true }
                state.wait { $0.mayEnd }
                return "done"
            }
        }
        let slow = Slow()
        let test = try TestServer { $0.controlHandler = slow }
        let client = try Client(dialing: "unix:" + test.controlPath)
        let control = try client.attach(user: "glenda", tree: ".ctl").walk("ctl")
        try control.open(OpenFlags.readWrite)
        let isDone = TestCondition(false)
        let root = try client.attach(user: "glenda")
        onThreads(2) { index in
            do {
                if index == 0 {
                    try control.write(Array("check".utf8), at: 0)
                    #expect(try control.readAll() == Array("done".utf8))
                    isDone.change { $0 = true }
                } else {
                    slow.state.wait { $0.isRunning }
                    try root.sync()
                    #expect(try root.status().isDirectory)
                    slow.state.change { $0.mayEnd = true }
                }
            } catch {
                Issue.record("\(error)")
            }
        }
        #expect(isDone.change { $0 })
    }

    @Test func `the control socket is private and the other one is not`() throws {
        let test = try makeServer()
        #expect(mode(of: test.controlPath) == 0o600)
        #expect(mode(of: test.peerPath) == 0o666)
    }

    @Test func `sockets go with the server, and a stale one is replaced`() throws {
        let test = try makeServer()
        test.server.stop()
        #expect(mode(of: test.controlPath) == nil)
        #expect(mode(of: test.peerPath) == nil)

        let directory = try TestServer.makeDirectory()
        defer { rmdir(directory) }
        let path = directory + "/stale"
        let stale = try UnixSocketFile.listen(path: path, mode: 0o666)
        #expect(throws: ServerError.addressInUse(.unix(path: path))) {
            try UnixSocketFile.listen(path: path, mode: 0o600)
        }
        close(stale.descriptor)
        let fresh = try UnixSocketFile.listen(path: path, mode: 0o600)
        #expect(mode(of: path) == 0o600)
        // The stale one's owner does not take the fresh one away.
        stale.file.remove()
        #expect(mode(of: path) == 0o600)
        close(fresh.descriptor)
        fresh.file.remove()
        #expect(mode(of: path) == nil)
    }

    @Test func `a file that is no socket is never replaced`() throws {
        let directory = try TestServer.makeDirectory()
        let path = directory + "/precious"
        let descriptor = creat(path, 0o600)
        #expect(descriptor >= 0)
        close(descriptor)
        #expect(throws: ServerError.notASocket(path: path)) {
            try UnixSocketFile.listen(path: path, mode: 0o600)
        }
        #expect(mode(of: path) == 0o600)
        unlink(path)
        rmdir(directory)
    }

    private func mode(of path: String) -> UInt32? {
        var status = stat()
        guard lstat(path, &status) == 0 else { return nil }
        return UInt32(status.st_mode) & 0o777
    }
}
