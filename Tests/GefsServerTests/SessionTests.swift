import GefsClient
import NineP
import Testing

@testable import GefsServer

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

@Suite struct SessionTests {
    typealias Wire = WireConnection

    @Test func `the message size is the smaller of both sides`() throws {
        let test = try TestServer()
        for (asked, agreed) in [
            (UInt32(256), UInt32(256)), (8192, 8192), (65536, 65536), (.max, (1 << 20) + 24),
        ] {
            let reply = try Wire(port: test.port).begin(messageBytesMax: asked)
            #expect(reply.type == MessageType.rVersion.rawValue)
            #expect(reply.tag == 0xffff)
            #expect(reply.body == Wire.le(agreed) + Wire.string("9P2000"))
        }
    }

    @Test(arguments: ["9P2000", "9P2000.u", "9P2000.L"])
    func `a version is answered by its plain form`(version: String) throws {
        let test = try TestServer()
        let reply = try Wire(port: test.port).begin(messageBytesMax: 8192, version: version)
        #expect(reply.body.dropFirst(4) == Wire.string("9P2000")[...])
    }

    @Test func `an unknown version is answered, and a good one may follow`() throws {
        let test = try TestServer()
        for (size, version) in [(UInt32(8192), "9P1999"), (8192, ""), (255, "9P2000")] {
            let wire = try Wire(port: test.port)
            let reply = try wire.begin(messageBytesMax: size, version: version)
            #expect(reply.body.dropFirst(4) == Wire.string("unknown")[...])
            try wire.begin(messageBytesMax: 8192)
            try wire.attach(fid: 1, user: "glenda")
        }
    }

    @Test func `anything before a version ends the connection`() throws {
        let test = try TestServer()
        for type in [MessageType.tStat, .tClunk, .tFlush] {
            let wire = try Wire(port: test.port)
            let body: [UInt8] = type == .tFlush ? [0, 0] : [0, 0, 0, 0]
            try wire.send(Wire.message(type, body))
            #expect(wire.isClosedByServer())
        }
        let unknown = try Wire(port: test.port)
        try unknown.begin(messageBytesMax: 8192, version: "nonsense")
        try unknown.send(Wire.stat(0))
        #expect(unknown.isClosedByServer())
    }

    @Test func `garbage ends the connection without a reply, and only that one`() throws {
        let test = try TestServer()
        let other = try test.wire()
        let cases: [[UInt8]] = [
            [0, 0, 0, 0, 0, 0, 0, 0],
            [6, 0, 0, 0, 120, 0],
            [0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            Wire.message(.tClunk, [1, 2, 3]),
            Wire.message(.tClunk, [1, 2, 3, 4, 5]),
            Wire.message(
                .tWalk, Wire.le(UInt32(0)) + Wire.le(UInt32(9)) + Wire.le(UInt16(1)) + [9, 0]),
            Wire.walk(0, 9, Array(repeating: "x", count: 17)),
            Wire.message(.tWrite, [UInt8](repeating: 0xff, count: 20)),
            // One byte more than was agreed on.
            Wire.message(.tWrite, [UInt8](repeating: 0, count: 65536 - 6)),
        ]
        for bytes in cases {
            let wire = try test.wire()
            try wire.send(bytes)
            #expect(wire.isClosedByServer(), "\(bytes.prefix(16))")
        }
        #expect(try other.exchange(Wire.stat(0)).type == MessageType.rStat.rawValue)
    }

    @Test func `replies before garbage are still sent`() throws {
        let test = try TestServer()
        let wire = try test.wire()
        try wire.send(Wire.stat(0, tag: 5) + [0, 0, 0, 0, 0, 0, 0])
        #expect(try wire.receive().tag == 5)
        #expect(wire.isClosedByServer())
    }

    @Test func `a frame larger than 32768 bytes before a version ends the connection`() throws {
        let test = try TestServer()
        let wire = try Wire(port: test.port)
        try wire.send(Wire.le(UInt32(32769)))
        #expect(wire.isClosedByServer())
    }

    @Test func `unknown message types are errors, not the end`() throws {
        let test = try TestServer()
        let wire = try test.wire()
        for type: UInt8 in [0, 1, 99, 101, 106, 107, 117, 128, 255] {
            let reply = try wire.exchange(Wire.message(type, tag: 3))
            #expect(reply.tag == 3)
            #expect(reply.errorText?.hasPrefix("unknown message") == true)
        }
        #expect(try wire.exchange(Wire.stat(0)).type == MessageType.rStat.rawValue)
    }

    @Test func `messages sent byte by byte are understood`() throws {
        let test = try TestServer()
        let wire = try test.wire()
        for byte in Wire.stat(0, tag: 1) + Wire.walk(0, 1, [], tag: 2) { try wire.send([byte]) }
        #expect(try wire.receive().tag == 1)
        #expect(try wire.receive().tag == 2)
    }

    @Test func `a client that vanishes in the middle of a message harms nobody`() throws {
        let test = try TestServer()
        let message = Wire.write(1, 0, [UInt8](repeating: 7, count: 100))
        for count in stride(from: 1, to: message.count, by: 9) {
            let wire = try test.wire()
            try wire.send(Array(message.prefix(count)))
        }
        #expect(try test.wire().exchange(Wire.stat(0)).type == MessageType.rStat.rawValue)
    }

    @Test func `a client that stops sending still gets its replies`() throws {
        let test = try TestServer()
        let wire = try test.wire()
        try wire.send((0..<20).flatMap { Wire.stat(0, tag: $0) })
        wire.endSending()
        for tag: UInt16 in 0..<20 { #expect(try wire.receive().tag == tag) }
        #expect(wire.isClosedByServer())
    }

    @Test func `a version request ends the session before`() throws {
        let test = try TestServer()
        let wire = try test.wire(messageBytesMax: 65536)
        #expect(try wire.exchange(Wire.walk(0, 1, [])).type == MessageType.rWalk.rawValue)
        let reply = try wire.begin(messageBytesMax: 8192)
        #expect(reply.body.prefix(4) == Wire.le(UInt32(8192))[...])
        #expect(try wire.exchange(Wire.stat(0)).errorText == "unknown fid")
        #expect(try wire.exchange(Wire.stat(1)).errorText == "unknown fid")
        try wire.attach(fid: 0, user: "glenda")
        #expect(try wire.exchange(Wire.stat(0)).type == MessageType.rStat.rawValue)
    }

    @Test func `a version request makes removal on close happen`() throws {
        let test = try TestServer()
        let wire = try test.wire()
        _ = try wire.exchange(Wire.walk(0, 1, []))
        let mode = OpenFlags.readWrite | OpenFlags.removeOnClose
        #expect(try !wire.exchange(Wire.create(1, "gone", 0o600, mode)).isError)
        #expect(try !wire.exchange(Wire.walk(0, 2, ["gone"])).isError)
        try wire.begin(messageBytesMax: 8192)
        try wire.attach(fid: 0, user: "glenda")
        #expect(
            try wire.exchange(Wire.walk(0, 2, ["gone"])).errorText == "directory entry not found")
    }

    @Test func `the end of a connection makes removal on close happen`() throws {
        let test = try TestServer()
        let root = try test.root()
        let file = try test.root().walk()
        try file.create(
            "gone", permissions: 0o600, mode: OpenFlags.write | OpenFlags.removeOnClose)
        try root.walk("gone").clunk()
        let before = test.server.connectionCount
        file.client.close()
        // The server forgets the connection after its fids are closed.
        while test.server.connectionCount >= before { sched_yield() }
        #expect(throws: ClientError.server("directory entry not found")) {
            try root.walk("gone")
        }
    }

    @Test func `more connections than allowed are closed at once`() throws {
        let test = try TestServer { $0.connectionsMax = 2 }
        let first = try test.wire()
        let second = try test.wire()
        #expect(try Wire(port: test.port).isClosedByServer())
        #expect(try first.exchange(Wire.stat(0)).type == MessageType.rStat.rawValue)
        #expect(try second.exchange(Wire.stat(0)).type == MessageType.rStat.rawValue)
    }

    @Test func `a connection has only so many fids`() throws {
        let test = try TestServer { $0.fidsMax = 10 }
        let wire = try test.wire()
        for fid: UInt32 in 1..<10 { #expect(try !wire.exchange(Wire.walk(0, fid, [])).isError) }
        #expect(try wire.exchange(Wire.walk(0, 10, [])).errorText == "out of memory")
        #expect(throws: WireFailure.self) { try wire.attach(fid: 10, user: "glenda") }
        #expect(try !wire.exchange(Wire.clunk(5)).isError)
        #expect(try !wire.exchange(Wire.walk(0, 10, [])).isError)
    }

    @Test func `stop answers what is under way and closes everything`() throws {
        let test = try TestServer()
        let wire = try test.wire()
        #expect(try wire.exchange(Wire.walk(0, 1, [])).type == MessageType.rWalk.rawValue)
        test.server.stop()
        #expect(wire.isClosedByServer())
        #expect(test.server.connectionCount == 0)
        #expect(throws: ClientError.self) { try test.client() }
        test.server.stop()
    }

    @Test func `random messages never bring the server down`() throws {
        let test = try TestServer()
        var random = SeededRandom()
        for _ in 0..<60 {
            let wire = try test.wire()
            for _ in 0..<200 {
                let type = UInt8.random(in: 98...128, using: &random)
                if type == MessageType.tVersion.rawValue { continue }
                let body = (0..<Int.random(in: 0...40, using: &random)).map { _ in
                    UInt8.random(in: 0...(Bool.random(using: &random) ? 3 : 255), using: &random)
                }
                guard (try? wire.send(Wire.message(type, body))) != nil else { break }
            }
        }
        #expect(try test.wire().exchange(Wire.stat(0)).type == MessageType.rStat.rawValue)
    }
}
