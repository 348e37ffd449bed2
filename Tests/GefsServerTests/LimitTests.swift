import GefsServer
import NineP
import Testing

/// Clients that want more than they get: they are refused or closed, and the others are served.
@Suite struct LimitTests {
    typealias Wire = WireConnection

    @Test func `many clients together have only so many fids, and each has some`() throws {
        let test = try TestServer { configuration in
            configuration.fidsTotalMax = 300
        }
        let greedy = try test.wire()
        var refused: UInt32?
        for fid: UInt32 in 1...1000 where refused == nil {
            let reply = try greedy.exchange(Wire.walk(0, fid, []))
            if reply.isError {
                #expect(reply.errorText == "out of memory")
                refused = fid
            }
        }
        #expect(refused == 300)
        // Somebody else has the few that everybody can have, and no more.
        let modest = try test.wire()
        for fid: UInt32 in 1..<64 {
            #expect(try !modest.exchange(Wire.walk(0, fid, [])).isError)
        }
        #expect(try modest.exchange(Wire.walk(0, 64, [])).isError)
        // What one gives back, another can have.
        for fid: UInt32 in 1..<200 { _ = try greedy.exchange(Wire.clunk(fid)) }
        #expect(try !modest.exchange(Wire.walk(0, 64, [])).isError)
    }

    @Test func `clients that are gone hold no fids`() throws {
        let test = try TestServer { $0.fidsTotalMax = 100 }
        for _ in 0..<20 {
            let wire = try test.wire()
            var count = 0
            for fid: UInt32 in 1...90 {
                // The server may not have seen yet that the one before is gone.
                if try !wire.exchange(Wire.walk(0, fid, [])).isError { count += 1 }
            }
            #expect(count >= 63)
        }
    }

    @Test func `a client that says nothing is closed, one that began a session is not`() throws {
        let test = try TestServer { $0.sessionPatience = .milliseconds(300) }
        let patient = try test.wire()
        let silent = try WireConnection(port: test.port)
        let halting = try WireConnection(port: test.port)
        try halting.send([19, 0, 0])
        #expect(silent.isClosedByServer())
        #expect(halting.isClosedByServer())
        #expect(try !patient.exchange(Wire.stat(0)).isError)
    }

    @Test func `all clients together have only so much under way, and each has something`() throws {
        let first = try TestServer()
        let file = try first.root().walk()
        try file.create("file", permissions: 0o666, mode: OpenFlags.write)
        try file.write([UInt8](repeating: 1, count: 300_000), at: 0)
        try file.clunk()
        let test = try TestServer(image: try first.committedImage()) { configuration in
            configuration.outstandingBytesTotalMax = 100_000
        }
        let wires = try (0..<4).map { _ in
            let wire = try test.wire()
            #expect(try !wire.exchange(Wire.walk(0, 1, ["file"])).isError)
            #expect(try !wire.exchange(Wire.open(1, 0)).isError)
            return wire
        }
        test.device.shut()
        for wire in wires {
            for tag: UInt16 in 1...20 {
                try wire.send(Wire.read(1, UInt64(tag) * 10_000, 10_000, tag: tag))
            }
        }
        test.device.awaitWaiting()
        test.device.open()
        for wire in wires {
            var tags: Set<UInt16> = []
            for _ in 1...20 {
                let reply = try wire.receive()
                #expect(reply.data?.count == 10_000)
                tags.insert(reply.tag)
            }
            #expect(tags.count == 20)
        }
    }

    @Test func `a storm of flushes waits with its client, and the others are served`() throws {
        let test = try TestServer()
        let root = try test.root().walk()
        try root.create("file", permissions: 0o666, mode: OpenFlags.write)
        try root.write([UInt8](repeating: 1, count: 300_000), at: 0)
        try root.clunk()
        let cold = try TestServer(image: try test.committedImage())
        let storm = try cold.wire()
        #expect(try !storm.exchange(Wire.walk(0, 1, ["file"])).isError)
        #expect(try !storm.exchange(Wire.open(1, 0)).isError)
        cold.device.shut()
        try storm.send(Wire.read(1, 0, 10_000, tag: 1))
        cold.device.awaitWaiting()
        // Each flushes the one before; the server reads no further than it wants to remember.
        let count: UInt16 = 5000
        for tag in 2...count { try storm.send(Wire.flush(tag - 1, tag: tag)) }
        let other = try cold.wire()
        for _ in 0..<50 { #expect(try !other.exchange(Wire.stat(0)).isError) }
        cold.device.open()
        for _ in 1...count { #expect(try !storm.receive().isError) }
        #expect(try !storm.exchange(Wire.stat(0)).isError)
    }

    /// Only what was read of it to the end was ever let go of.
    @Test func `status is not kept for everybody who began to read it`() throws {
        let test = try TestServer(image: try TestServer.imageOfDialectN(), hasConsole: true)
        let wire = try test.wire(user: "adm")
        let attach =
            Wire.le(UInt32(1)) + Wire.le(UInt32.max) + Wire.string("adm") + Wire.string("%adm")
        _ = try wire.exchange(Wire.message(.tAttach, attach))
        for fid: UInt32 in 2..<300 {
            guard try !wire.exchange(Wire.walk(1, fid, ["status"])).isError else { continue }
            #expect(try !wire.exchange(Wire.open(fid, 0)).isError)
            let start = try wire.exchange(Wire.read(fid, 0, 4))
            #expect(start.data == Array("gefs".utf8))
            #expect(try wire.exchange(Wire.read(fid, 4, 3)).data == Array(" p9".utf8))
        }
    }
}
