import GefsClient
import GefsEngine
import NineP
import Testing

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// What the original got wrong and clients could see. Source: SEMANTICS 12.
@Suite struct WeaknessTests {
    typealias Wire = WireConnection

    private static let directoryBit: UInt32 = 0x8000_0000

    /// Makes a file and gives its fid up.
    private func make(
        _ root: RemoteFile, _ name: String, _ permissions: UInt32 = 0o644, _ data: [UInt8] = []
    ) throws {
        let file = try root.walk()
        try file.create(name, permissions: permissions, mode: OpenFlags.write)
        if !data.isEmpty { try file.write(data, at: 0) }
        try file.clunk()
    }

    private func makeDirectory(
        _ root: RemoteFile, _ name: String, _ permissions: UInt32 = 0o755
    ) throws {
        let file = try root.walk()
        try file.create(name, permissions: Self.directoryBit | permissions, mode: OpenFlags.read)
        try file.clunk()
    }

    private func expectError(_ text: String, _ body: () throws -> Void) {
        #expect(throws: ClientError.server(text)) { try body() }
    }

    // MARK: Security

    @Test func `12.1 a fid that was never opened can be neither read nor written`() throws {
        let test = try TestServer()
        let root = try test.root()
        try make(root, "secret", 0o600, [1, 2, 3])
        let wire = try test.wire(user: "bob")
        #expect(try !wire.exchange(Wire.walk(0, 1, ["secret"])).isError)
        let text = "read/write -- on non open fid"
        #expect(try wire.exchange(Wire.read(1, 0, 10)).errorText == text)
        #expect(try wire.exchange(Wire.write(1, 0, [9])).errorText == text)
        #expect(try wire.exchange(Wire.read(0, 0, 10)).errorText == text)
        let file = try root.walk("secret")
        try file.open()
        #expect(try file.readAll() == [1, 2, 3])
    }

    @Test func `12.1 a fid is used only the way it was opened`() throws {
        let test = try TestServer()
        let root = try test.root()
        try make(root, "file")
        let reader = try root.walk("file")
        try reader.open(OpenFlags.read)
        expectError("resource in use") { try reader.write([1], at: 0) }
        let writer = try root.walk("file")
        try writer.open(OpenFlags.write)
        expectError("read/write -- on non open fid") { _ = try writer.readAll() }
    }

    @Test func `12.2 open modes 4 to 15 are refused`() throws {
        let test = try TestServer()
        let wire = try test.wire()
        #expect(try !wire.exchange(Wire.walk(0, 1, [])).isError)
        #expect(try !wire.exchange(Wire.create(1, "file", 0o000, OpenFlags.read)).isError)
        for mode: UInt8 in 4...15 {
            #expect(try !wire.exchange(Wire.walk(0, 2, ["file"])).isError)
            #expect(
                try wire.exchange(Wire.open(2, mode)).errorText == "open/create -- unknown mode")
            #expect(
                try wire.exchange(Wire.create(0, "new\(mode)", 0o644, mode)).errorText
                    == "open/create -- unknown mode")
            #expect(try !wire.exchange(Wire.clunk(2)).isError)
        }
    }

    @Test func `12.3 removal on close needs write permission in the parent`() throws {
        let test = try TestServer()
        let root = try test.root()
        try makeDirectory(root, "mine", 0o755)
        try make(try root.walk("mine"), "file", 0o666)
        let file = try test.root("bob").walk("mine/file")
        expectError("permission denied") {
            try file.open(OpenFlags.read | OpenFlags.removeOnClose)
        }
        try file.clunk()
        try root.walk("mine/file").clunk()
    }

    @Test func `12.4 bytes cut off do not come back when a file grows`() throws {
        let test = try TestServer()
        let root = try test.root()
        try make(root, "file", 0o644, [UInt8](repeating: 0xee, count: 40_000))
        let file = try root.walk("file")
        try file.change(RemoteChanges(length: 100))
        try file.change(RemoteChanges(length: 40_000))
        try file.open()
        let data = try file.readAll()
        #expect(data.count == 40_000)
        #expect(data[..<100].allSatisfy { $0 == 0xee })
        #expect(data[100...].allSatisfy { $0 == 0 })
    }

    @Test func `12.6 an empty tree's root cannot be removed`() throws {
        let test = try TestServer()
        #expect(throws: ClientError.self) { try test.root("glenda", "%main").remove() }
        #expect(try test.root().status().name == Array("/".utf8))
    }

    // MARK: Crashes and hangs

    @Test func `12.7 a read with a count beyond msize is cut, not fatal`() throws {
        let test = try TestServer()
        try make(try test.root(), "file", 0o644, [UInt8](repeating: 5, count: 200_000))
        for size: UInt32 in [256, 8192, 32792] {
            let wire = try test.wire(messageBytesMax: size)
            #expect(try !wire.exchange(Wire.walk(0, 1, ["file"])).isError)
            #expect(try !wire.exchange(Wire.open(1, 0)).isError)
            for count: UInt32 in [size, size + 1, 1 << 20, .max] {
                let reply = try wire.exchange(Wire.read(1, 0, count))
                #expect(reply.data?.count == Int(size) - 11)
            }
        }
    }

    @Test func `12.8 names of 245 bytes and more are errors`() throws {
        let test = try TestServer()
        let wire = try test.wire()
        for count in [245, 246, 1000, 60000] {
            let name = String(repeating: "n", count: count)
            #expect(try wire.exchange(Wire.walk(0, 1, [name])).errorText == "name too long")
            #expect(
                try wire.exchange(Wire.create(0, name, 0o644, 1)).errorText == "name too long")
        }
        let longest = String(repeating: "n", count: 244)
        try make(try test.root(), longest)
        #expect(try !wire.exchange(Wire.walk(0, 1, [longest])).isError)
    }

    @Test func `12.9 a denied change of length changes nothing and blocks nobody`() throws {
        let test = try TestServer()
        let root = try test.root()
        try make(root, "file", 0o644, [UInt8](repeating: 1, count: 50_000))
        let file = try test.root("bob").walk("file")
        expectError("permission denied") { try file.change(RemoteChanges(length: 10)) }
        expectError("wstat -- not owner") {
            try root.walk("file").change(RemoteChanges(length: 10, user: "bob"))
        }
        #expect(try file.status().length == 50_000)
        let writer = try root.walk("file")
        try writer.open(OpenFlags.write)
        try writer.write([2], at: 50_000)
        #expect(try file.status().length == 50_001)
    }

    @Test func `12.10 removing a fid that removes on close works`() throws {
        let test = try TestServer()
        let root = try test.root()
        let file = try root.walk()
        try file.create(
            "file", permissions: 0o644, mode: OpenFlags.write | OpenFlags.removeOnClose)
        try file.remove()
        expectError("directory entry not found") { _ = try root.walk("file") }
        try make(root, "file")
    }

    @Test func `12.11 removal on close in an immutable tree is harmless`() throws {
        let test = try TestServer()
        let wire = try Wire(port: test.port)
        try wire.begin(messageBytesMax: 8192)
        try wire.attach(fid: 0, user: "glenda", tree: "%empty")
        #expect(try wire.exchange(Wire.open(0, OpenFlags.removeOnClose)).isError)
        #expect(try !wire.exchange(Wire.clunk(0)).isError)
        try wire.attach(fid: 0, user: "glenda", tree: "%empty")
        #expect(try !wire.exchange(Wire.stat(0)).isError)
    }

    @Test func `12.12 names stay what they are after a rename and a listing of dump`() throws {
        let test = try TestServer()
        let root = try test.root()
        try make(root, "first")
        let file = try root.walk("first")
        try file.change(RemoteChanges(name: "a-much-longer-second-name"))
        #expect(try file.status().nameText == "a-much-longer-second-name")
        let dump = try test.root("glenda", "dump")
        for _ in 0..<3 {
            #expect(try dump.list().map(\.nameText).contains("main"))
            #expect(try dump.status().nameText == "/")
        }
        #expect(try file.status().nameText == "a-much-longer-second-name")
    }

    @Test func `12.13 nothing is created in a plain file, and no directory is written`() throws {
        let test = try TestServer()
        let root = try test.root()
        try make(root, "file")
        let file = try root.walk("file")
        expectError("create -- in a non-directory") {
            try file.create("below", permissions: 0o644)
        }
        try makeDirectory(root, "dir")
        for mode in [OpenFlags.write, OpenFlags.readWrite, OpenFlags.truncate] {
            let directory = try root.walk("dir")
            expectError("permission denied") { try directory.open(mode) }
        }
        let directory = try root.walk("dir")
        try directory.open()
        expectError("resource in use") { try directory.write([1], at: 0) }
    }

    @Test func `12.14 clients with the same fids, tags and flushes do not wait for each other`()
        throws
    {
        let first = try TestServer()
        try make(try first.root(), "file", 0o644, [UInt8](repeating: 1, count: 100_000))
        let test = try TestServer(image: try first.committedImage())
        let stuck = try test.wire()
        #expect(try !stuck.exchange(Wire.walk(0, 1, ["file"])).isError)
        #expect(try !stuck.exchange(Wire.open(1, 0)).isError)
        let other = try test.wire()
        #expect(try !other.exchange(Wire.walk(0, 1, ["file"])).isError)
        test.device.shut()
        try stuck.send(Wire.read(1, 0, 100, tag: 7))
        test.device.awaitWaiting()
        try stuck.send(Wire.flush(7, tag: 8))
        #expect(try other.exchange(Wire.flush(7, tag: 8)).type == MessageType.rFlush.rawValue)
        #expect(try !other.exchange(Wire.stat(1, tag: 7)).isError)
        #expect(try !other.exchange(Wire.clunk(1, tag: 7)).isError)
        let root = try test.root()
        try root.sync()
        test.device.open()
        #expect(try stuck.receive().data?.count == 100)
        #expect(try stuck.receive().tag == 8)
    }

    // MARK: Data

    @Test func `12.35 what fits one message is told, and a new version ends the session`() throws {
        let test = try TestServer()
        try make(try test.root(), "file", 0o644, [1, 2, 3])
        let wire = try test.wire(messageBytesMax: 8192)
        #expect(try !wire.exchange(Wire.walk(0, 1, ["file"])).isError)
        let reply = try wire.exchange(Wire.open(1, 2))
        let unit = reply.body.suffix(4)
        #expect(Array(unit) == Wire.le(UInt32(8192 - 24)))
        let bytes = [UInt8](repeating: 7, count: 8192 - 24)
        #expect(try !wire.exchange(Wire.write(1, 0, bytes)).isError)
        #expect(try wire.exchange(Wire.read(1, 0, 8192 - 24)).data?.count == 8192 - 24)
        try wire.begin(messageBytesMax: 8192)
        #expect(try wire.exchange(Wire.stat(1)).errorText == "unknown fid")
    }

    @Test func `12.40 what was acknowledged outlives the last fid of its label`() throws {
        let test = try TestServer()
        let client = try test.client()
        try make(try client.attach(user: "glenda"), "kept", 0o644, [1, 2, 3])
        client.close()
        while test.server.connectionCount > 0 { sched_yield() }
        let again = try TestServer(image: try test.committedImage())
        let file = try again.root().walk("kept")
        try file.open()
        #expect(try file.readAll() == [1, 2, 3])
    }

    @Test func `12.43 the root can be neither renamed nor removed, and nobody hangs`() throws {
        let test = try TestServer()
        #expect(throws: ClientError.self) {
            try test.root("glenda", "%main").change(RemoteChanges(name: "other"))
        }
        #expect(throws: ClientError.self) { try test.root("glenda", "%main").remove() }
        try make(try test.root(), "file")
    }

    @Test func `12.44 directories with the longest names can be walked into`() throws {
        let test = try TestServer()
        let root = try test.root()
        for count in [235, 236, 240, 243, 244] {
            let name = String(repeating: "d", count: count)
            try makeDirectory(root, name)
            try makeDirectory(try root.walk(name), "child")
            let child = try root.walk(name + "/child")
            #expect(try child.walk([Array("..".utf8)]).status().nameText == name)
        }
    }

    @Test func `12.45 no reply is longer than the message size agreed on`() throws {
        let test = try TestServer()
        let root = try test.root()
        for index in 0..<40 { try make(root, "file-with-quite-a-long-name-\(index)") }
        try make(root, "large", 0o644, [UInt8](repeating: 1, count: 40_000))
        for size: UInt32 in [256, 300, 8192] {
            let wire = try test.wire(messageBytesMax: size)
            func check(_ message: [UInt8]) throws -> WireReply {
                let reply = try wire.exchange(message)
                #expect(reply.body.count + 7 <= Int(size))
                return reply
            }
            #expect(try !check(Wire.walk(0, 1, ["large"])).isError)
            #expect(try !check(Wire.open(1, 0)).isError)
            _ = try check(Wire.read(1, 0, 32768))
            _ = try check(Wire.stat(1))
            _ = try check(Wire.walk(0, 2, Array(repeating: "..", count: 16)))
            #expect(try !check(Wire.walk(0, 3, [])).isError)
            #expect(try !check(Wire.open(3, 0)).isError)
            var offset = 0
            while let data = try check(Wire.read(3, UInt64(offset), 32768)).data, !data.isEmpty {
                offset += data.count
            }
            #expect(offset > 3000)
        }
    }

    @Test func `12.48 a write at an offset of 2^63 or more is refused`() throws {
        let test = try TestServer()
        let wire = try test.wire()
        #expect(try !wire.exchange(Wire.walk(0, 1, [])).isError)
        #expect(try !wire.exchange(Wire.create(1, "file", 0o644, OpenFlags.readWrite)).isError)
        for offset: UInt64 in [1 << 63, .max, (1 << 63) - 1, .max - 3] {
            #expect(try wire.exchange(Wire.write(1, offset, [1, 2])).isError)
        }
        #expect(try test.root().walk("file").status().length == 0)
        #expect(try wire.exchange(Wire.read(1, .max, 10)).data?.isEmpty != false)
    }

    @Test func `12.49 a removed file is readable while it is open`() throws {
        let test = try TestServer()
        let root = try test.root()
        let contents = [UInt8](repeating: 0x42, count: 70_000)
        try make(root, "file", 0o644, contents)
        let reader = try root.walk("file")
        try reader.open()
        try root.walk("file").remove()
        try root.sync()
        #expect(try reader.readAll() == contents)
        try reader.clunk()
    }

    @Test func `12.53 a read-only server answers everything`() throws {
        let first = try TestServer()
        try make(try first.root(), "file", 0o666, [1])
        var options = TestServer.options
        options.isReadOnly = true
        let test = try TestServer(image: try first.committedImage(), options: options)
        let root = try test.root()
        try root.sync()
        let text = "file system read only"
        expectError(text) { try root.walk().create("new", permissions: 0o644) }
        expectError(text) { try root.walk("file").change(RemoteChanges(mode: 0o600)) }
        expectError(text) { try root.walk("file").remove() }
        let file = try root.walk("file")
        try file.open(OpenFlags.readWrite)
        expectError(text) { try file.write([2], at: 0) }
        #expect(try file.readAll() == [1])
    }
}
