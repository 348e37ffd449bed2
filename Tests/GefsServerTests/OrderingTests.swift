import GefsClient
import GefsEngine
import GefsServer
import NineP
import Testing

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Requests that wait for the device, and those behind them.
@Suite struct OrderingTests {
    typealias Wire = WireConnection

    private static let fileBytes = 300_000

    /// A server whose files are on the device and not in memory: `file`, `other`, and `append`,
    /// an append-only one, of `fileBytes` each, and a directory `dir`.
    private func makeCold(
        configure: (inout ServerConfiguration) -> Void = { _ in }
    ) throws -> TestServer {
        let first = try TestServer()
        let root = try first.root()
        for (name, mode) in [
            ("file", UInt32(0o666)), ("other", 0o666), ("append", 0x4000_0000 | 0o666),
        ] {
            let file = try root.walk()
            try file.create(name, permissions: mode, mode: OpenFlags.write)
            try file.write([UInt8](repeating: 1, count: Self.fileBytes), at: 0)
            try file.clunk()
        }
        let directory = try root.walk()
        try directory.create("dir", permissions: 0x8000_01ff, mode: OpenFlags.read)
        return try TestServer(image: try first.committedImage(), configure: configure)
    }

    /// A connection with `fid` on a file that is open for reading and writing.
    private func open(
        _ test: TestServer, _ name: String = "file", fid: UInt32 = 1,
        mode: UInt8 = OpenFlags.readWrite
    ) throws -> WireConnection {
        let wire = try test.wire()
        try open(wire, name, fid: fid, mode: mode)
        return wire
    }

    private func open(
        _ wire: WireConnection, _ name: String, fid: UInt32, mode: UInt8 = OpenFlags.readWrite
    ) throws {
        #expect(try !wire.exchange(Wire.walk(0, fid, [name])).isError)
        #expect(try !wire.exchange(Wire.open(fid, mode)).isError)
    }

    @Test func `a read that waits for the device holds up nothing else of its connection`() throws {
        let test = try makeCold()
        let wire = try open(test)
        test.device.shut()
        try wire.send(Wire.read(1, 0, 1000, tag: 1))
        test.device.awaitWaiting()
        for tag: UInt16 in 2..<50 { #expect(try wire.exchange(Wire.stat(0, tag: tag)).tag == tag) }
        test.device.open()
        let reply = try wire.receive()
        #expect(reply.tag == 1)
        #expect(reply.data == [UInt8](repeating: 1, count: 1000))
    }

    @Test func `a clunk waits for reads of its fid`() throws {
        let test = try makeCold()
        let wire = try open(test)
        test.device.shut()
        try wire.send(Wire.read(1, 0, 10, tag: 1))
        test.device.awaitWaiting()
        try wire.send(Wire.clunk(1, tag: 2) + Wire.stat(1, tag: 3) + Wire.stat(0, tag: 4))
        #expect(try wire.receive().tag == 4)
        test.device.open()
        #expect(try wire.receive().tag == 1)
        let clunk = try wire.receive()
        #expect(clunk.tag == 2)
        #expect(!clunk.isError)
        let stat = try wire.receive()
        #expect(stat.tag == 3)
        #expect(stat.errorText == "unknown fid")
    }

    @Test func `a fid's number can be used again behind a clunk that waits`() throws {
        let test = try makeCold()
        let wire = try open(test)
        test.device.shut()
        try wire.send(Wire.read(1, 0, 10, tag: 1))
        test.device.awaitWaiting()
        try wire.send(
            Wire.clunk(1, tag: 2) + Wire.walk(0, 1, [], tag: 3) + Wire.stat(1, tag: 4))
        test.device.open()
        for tag: UInt16 in 1...4 {
            let reply = try wire.receive()
            #expect(reply.tag == tag)
            #expect(!reply.isError)
        }
    }

    /// Each of those that waited went behind the other, and the event loop was never free again.
    @Test(.timeLimit(.minutes(1)))
    func `several who want to make the same fid get their answers`() throws {
        let test = try makeCold()
        let wire = try test.wire()
        test.device.shut()
        let attach =
            Wire.le(UInt32(1)) + Wire.le(UInt32.max) + Wire.string("glenda") + Wire.string("")
        try wire.send(
            Wire.walk(0, 1, ["file"], tag: 1) + Wire.walk(0, 1, ["file"], tag: 2)
                + Wire.message(.tAttach, tag: 3, attach) + Wire.walk(0, 1, [], tag: 4)
                + Wire.message(.tAttach, tag: 5, attach))
        test.device.open()
        var refused: Set<UInt16> = []
        for _ in 1...5 {
            let reply = try wire.receive()
            if reply.errorText == "fid in use" { refused.insert(reply.tag) }
        }
        #expect(refused == [2, 3, 4, 5])
    }

    @Test func `what follows a walk to a new fid without waiting finds the fid`() throws {
        let test = try makeCold()
        let wire = try test.wire()
        test.device.shut()
        try wire.send(
            Wire.walk(0, 1, ["file"], tag: 1) + Wire.open(1, 0, tag: 2)
                + Wire.read(1, 0, 10, tag: 3) + Wire.clunk(1, tag: 4))
        test.device.open()
        for tag: UInt16 in 1...4 {
            let reply = try wire.receive()
            #expect(reply.tag == tag)
            #expect(!reply.isError)
        }
    }

    @Test func `what follows a walk that fails finds no fid`() throws {
        let test = try makeCold()
        let wire = try test.wire()
        test.device.shut()
        try wire.send(Wire.walk(0, 1, ["absent"], tag: 1) + Wire.open(1, 0, tag: 2))
        test.device.open()
        #expect(try wire.receive().errorText == "directory entry not found")
        #expect(try wire.receive().errorText == "unknown fid")
    }

    @Test func `reads of a directory keep their order`() throws {
        let first = try TestServer()
        let root = try first.root()
        for index in 0..<200 {
            let file = try root.walk()
            try file.create("file\(index)", permissions: 0o644)
            try file.clunk()
        }
        let test = try TestServer(image: try first.committedImage())
        let names = try test.root().list().map(\.nameText)
        #expect(names.count == 200)
        let cold = try TestServer(image: try first.committedImage())
        let wire = try open(cold, "..", mode: OpenFlags.read)
        // Records of one length: the offsets are known before the replies.
        let record = try wire.exchange(Wire.read(1, 0, 100)).data?.count ?? 0
        #expect(try wire.exchange(Wire.read(1, 0, 100)).data?.count == record)
        cold.device.shut()
        try wire.send(
            Wire.read(1, UInt64(record), 100, tag: 1)
                + Wire.read(1, UInt64(2 * record), 100, tag: 2)
                + Wire.read(1, UInt64(3 * record), 100, tag: 3))
        cold.device.open()
        for tag: UInt16 in 1...3 {
            let reply = try wire.receive()
            #expect(reply.tag == tag)
            #expect(reply.data?.count == record)
        }
    }

    @Test func `appends through one fid land in the order they were sent`() throws {
        let test = try makeCold()
        let wire = try open(test, "append", mode: OpenFlags.write)
        test.device.shut()
        try wire.send(
            (0..<20).flatMap { index in
                Wire.write(1, 0, [UInt8](repeating: UInt8(index), count: 10), tag: UInt16(index))
            })
        test.device.open()
        for _ in 0..<20 { #expect(try !wire.receive().isError) }
        let file = try test.root().walk("append")
        try file.open()
        let data = try file.readAll()
        let appended = data.dropFirst(Self.fileBytes)
        #expect(Array(appended) == (0..<20).flatMap { [UInt8](repeating: $0, count: 10) })
    }

    @Test func `a tag that is in use is refused, and the request under it is not disturbed`() throws
    {
        let test = try makeCold()
        let wire = try open(test)
        test.device.shut()
        try wire.send(Wire.read(1, 0, 10, tag: 5))
        test.device.awaitWaiting()
        #expect(try wire.exchange(Wire.stat(0, tag: 5)).errorText == "tag in use")
        test.device.open()
        #expect(try wire.receive().data?.count == 10)
        #expect(try wire.exchange(Wire.stat(0, tag: 5)).type == MessageType.rStat.rawValue)
    }

    // MARK: Tflush

    @Test func `a flush of nothing is answered at once`() throws {
        let test = try TestServer()
        let wire = try test.wire()
        #expect(try wire.exchange(Wire.flush(99, tag: 1)).type == MessageType.rFlush.rawValue)
        #expect(try wire.exchange(Wire.flush(1, tag: 1)).type == MessageType.rFlush.rawValue)
    }

    @Test func `a flush is answered after the request it names, and so is a flush of the flush`()
        throws
    {
        let test = try makeCold()
        let wire = try open(test)
        test.device.shut()
        try wire.send(Wire.read(1, 0, 10, tag: 1))
        test.device.awaitWaiting()
        try wire.send(
            Wire.flush(1, tag: 2) + Wire.flush(2, tag: 3) + Wire.flush(1, tag: 4)
                + Wire.stat(0, tag: 5))
        #expect(try wire.receive().tag == 5)
        test.device.open()
        #expect(try wire.receive().tag == 1)
        for tag: UInt16 in 2...4 {
            let reply = try wire.receive()
            #expect(reply.tag == tag)
            #expect(reply.type == MessageType.rFlush.rawValue)
        }
    }

    @Test func `a request that waits for its fid is forgotten when it is flushed`() throws {
        let test = try makeCold()
        let wire = try open(test, "file")
        try open(wire, "..", fid: 2, mode: OpenFlags.read)
        test.device.shut()
        try wire.send(Wire.read(1, 0, 10, tag: 1))
        test.device.awaitWaiting()
        // An open of an open fid would be an error; flushed, it is nothing.
        try wire.send(Wire.open(1, 0, tag: 2) + Wire.flush(2, tag: 3))
        #expect(try wire.receive() == WireReply(type: 109, tag: 3, body: []))
        test.device.open()
        #expect(try wire.receive().tag == 1)
        #expect(try wire.exchange(Wire.stat(0, tag: 2)).tag == 2)
    }

    @Test func `a clunk cannot be flushed away`() throws {
        let test = try makeCold()
        let wire = try open(test)
        test.device.shut()
        try wire.send(Wire.read(1, 0, 10, tag: 1))
        test.device.awaitWaiting()
        try wire.send(Wire.clunk(1, tag: 2) + Wire.flush(2, tag: 3))
        test.device.open()
        #expect(try wire.receive().tag == 1)
        #expect(try wire.receive() == WireReply(type: 121, tag: 2, body: []))
        #expect(try wire.receive() == WireReply(type: 109, tag: 3, body: []))
        #expect(try wire.exchange(Wire.stat(1)).errorText == "unknown fid")
    }

    @Test func `requests that no thread has taken are withdrawn by a flush`() throws {
        let test = try makeCold { $0.workerThreads = 1 }
        let wire = try open(test, "file")
        try open(wire, "other", fid: 2)
        test.device.shut()
        try wire.send(Wire.read(1, 0, 10, tag: 1))
        test.device.awaitWaiting()
        try wire.send(Wire.read(2, 0, 10, tag: 2) + Wire.flush(2, tag: 3))
        #expect(try wire.receive() == WireReply(type: 109, tag: 3, body: []))
        test.device.open()
        #expect(try wire.receive().tag == 1)
        // The fid is free again, and so is the tag.
        #expect(try wire.exchange(Wire.read(2, 0, 10, tag: 2)).data?.count == 10)
        #expect(try !wire.exchange(Wire.clunk(2, tag: 2)).isError)
    }

    // MARK: Sessions and limits

    @Test
    func
        `a version request waits for what is under way, and nothing of that is answered behind it`()
        throws
    {
        let test = try makeCold()
        let wire = try open(test)
        test.device.shut()
        try wire.send(Wire.read(1, 0, 10, tag: 1))
        test.device.awaitWaiting()
        try wire.send(
            Wire.clunk(1, tag: 2) + Wire.flush(1, tag: 3)
                + Wire.message(
                    .tVersion, tag: 0xffff, Wire.le(UInt32(8192)) + Wire.string("9P2000"))
                + Wire.message(
                    .tAttach, tag: 1,
                    Wire.le(UInt32(1)) + Wire.le(UInt32.max) + Wire.string("glenda")
                        + Wire.string("")))
        test.device.open()
        // What ended before the server had read the version request may be answered in front.
        var version = try wire.receive()
        var earlier = 0
        while version.type != MessageType.rVersion.rawValue, earlier < 3 {
            earlier += 1
            version = try wire.receive()
        }
        #expect(version.type == MessageType.rVersion.rawValue)
        #expect(version.tag == 0xffff)
        let attach = try wire.receive()
        #expect(attach.type == MessageType.rAttach.rawValue)
        #expect(try wire.exchange(Wire.stat(0)).errorText == "unknown fid")
    }

    @Test func `a connection takes only so many requests, and goes on when some are answered`()
        throws
    {
        let test = try makeCold { $0.outstandingRequestsMax = 8 }
        let wire = try open(test)
        test.device.shut()
        for tag: UInt16 in 0..<200 {
            try wire.send(Wire.read(1, UInt64(tag) * 16, 16, tag: tag))
        }
        test.device.awaitWaiting()
        // Another connection is not held up.
        let other = try test.wire()
        #expect(try !other.exchange(Wire.stat(0)).isError)
        test.device.open()
        var tags = Set<UInt16>()
        for _ in 0..<200 {
            let reply = try wire.receive()
            #expect(reply.data?.count == 16)
            tags.insert(reply.tag)
        }
        #expect(tags.count == 200)
    }

    @Test func `a client that does not take its replies is not read from for ever`() throws {
        let test = try makeCold { $0.stopPatience = .milliseconds(50) }
        let wire = try open(test)
        let request = Wire.read(1, 0, 60_000, tag: 1)
        // In memory from now on: every request is answered before the next is looked at.
        #expect(try wire.exchange(request).data?.count == 60_000)
        // More replies than any socket buffers: 20000 times 60 kB, asked for by half a megabyte.
        for _ in 0..<20_000 {
            guard wire.sendIfRoom(request) else { break }
        }
        let other = try test.wire()
        #expect(try !other.exchange(Wire.stat(0)).isError)
        #expect(try wire.receive().data?.count == 60_000)
        test.server.stop()
    }

    @Test func `a connection that ends with requests under way gives everything back`() throws {
        let test = try makeCold()
        do {
            let wire = try open(test)
            test.device.shut()
            try wire.send(Wire.read(1, 0, 10, tag: 1) + Wire.clunk(1, tag: 2))
            test.device.awaitWaiting()
        }
        test.device.open()
        while test.server.connectionCount > 0 { sched_yield() }
    }

    @Test func `syncs of many connections do not keep reads from the pool`() throws {
        let test = try makeCold { $0.workerThreads = 1 }
        onThreads(16) { index in
            do {
                let root = try test.root()
                for round in 0..<5 {
                    let file = try root.walk("file")
                    try file.open(OpenFlags.readWrite)
                    try file.write([UInt8(index)], at: UInt64(index * 1000 + round))
                    try file.sync()
                    #expect(
                        try file.readOnce(at: UInt64(index * 1000 + round), count: 1) == [
                            UInt8(index)
                        ])
                    try file.clunk()
                }
            } catch {
                Issue.record("\(error)")
            }
        }
    }

    @Test func `sixty-four clients read and write at once, and every byte is where it belongs`()
        throws
    {
        let test = try makeCold()
        onThreads(64) { index in
            do {
                let root = try test.client().attach(user: "glenda")
                let name = "own\(index)"
                let file = try root.walk()
                try file.create(name, permissions: 0o644)
                let shared = try root.walk("file")
                try shared.open(OpenFlags.readWrite)
                var expected: [UInt8] = []
                for round in 0..<12 {
                    let piece = [UInt8](
                        repeating: UInt8(truncatingIfNeeded: index * 31 + round),
                        count: 100 + round * 977)
                    try file.write(piece, at: UInt64(expected.count))
                    expected += piece
                    #expect(try shared.readOnce(at: UInt64(round * 1000), count: 500).count == 500)
                    try shared.write([UInt8(index)], at: UInt64(index * 4000))
                    if round % 5 == 4 { try file.sync() }
                }
                #expect(try file.readAll() == expected)
                #expect(try shared.readOnce(at: UInt64(index * 4000), count: 1) == [UInt8(index)])
                try shared.clunk()
                try file.clunk()
                #expect(try root.walk(name).status().length == UInt64(expected.count))
                if index % 2 == 0 { try root.walk(name).remove() }
                root.client.close()
            } catch {
                Issue.record("client \(index): \(error)")
            }
        }
        #expect(try test.root().list().count == 4 + 32)
    }
}
