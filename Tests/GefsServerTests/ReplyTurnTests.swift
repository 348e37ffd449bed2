import NineP
import Testing

@testable import GefsServer

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

@Suite struct ReplyTurnTests {
    typealias Wire = WireConnection

    /// More than are sent to in one call.
    private static let clientCount = SendBatch.messagesMax + 20

    @Test func `many clients of one event loop get their own replies`() throws {
        let test = try TestServer { $0.eventLoopThreads = 1 }
        let clients = try (0..<Self.clientCount).map { _ in try test.wire() }
        for round in 0..<20 {
            // All ask before anybody takes a reply; some twice, some for more than others.
            for (number, client) in clients.enumerated() {
                let fid = UInt32(number + 1)
                try client.send(Wire.walk(0, fid, [], tag: UInt16(number)))
                if number % 3 == 0 { try client.send(Wire.stat(fid, tag: 1000)) }
                try client.send(Wire.clunk(fid, tag: UInt16(2000 + round)))
            }
            for (number, client) in clients.enumerated() {
                let tags =
                    [UInt16(number)] + (number % 3 == 0 ? [1000] : []) + [UInt16(2000 + round)]
                for tag in tags {
                    let reply = try client.receive()
                    #expect(reply.tag == tag && !reply.isError)
                }
            }
        }
    }

    @Test func `a client that takes nothing for long gets all in order, the others meanwhile`()
        throws
    {
        let test = try TestServer { $0.eventLoopThreads = 1 }
        let byteCount = 60_000
        let readCount: UInt16 = 200
        let root = try test.root().walk()
        try root.create("file", permissions: 0o666, mode: OpenFlags.write)
        try root.write((0..<byteCount).map { UInt8(truncatingIfNeeded: $0 / 256) }, at: 0)
        try root.clunk()
        let slow = try test.wire()
        #expect(try !slow.exchange(Wire.walk(0, 1, ["file"])).isError)
        #expect(try !slow.exchange(Wire.open(1, 0)).isError)
        let others = try (0..<5).map { _ in try test.wire() }
        for tag in 0..<readCount {
            try slow.send(Wire.read(1, 0, UInt32(byteCount), tag: tag))
            try slow.send(Wire.stat(1, tag: 1000 + tag))
            for other in others { try other.send(Wire.stat(0, tag: tag)) }
            for other in others {
                let reply = try other.receive()
                #expect(reply.tag == tag && !reply.isError)
            }
        }
        for tag in 0..<readCount {
            let data = try slow.receive()
            #expect(data.tag == tag && data.data?.count == byteCount)
            #expect(data.data?.last == UInt8(truncatingIfNeeded: (byteCount - 1) / 256))
            let status = try slow.receive()
            #expect(status.tag == 1000 + tag && !status.isError)
        }
    }

    @Test func `a batch gives each socket what it takes, and waits for none`() throws {
        guard let batch = SendBatch() else { return }
        let open = try SocketPair()
        let full = try SocketPair()
        let gone = try SocketPair()
        full.fill()
        gone.closeReader()
        for round in 0..<3 {
            let message = [UInt8](repeating: UInt8(round + 1), count: 100 + round)
            for pair in [open, full, gone, open] {
                message.withUnsafeBytes { batch.add($0, to: pair.writer) }
            }
            var counts = [Int](repeating: -1, count: 4)
            #expect(batch.send { counts[$0] = $1 })
            #expect(counts == [message.count, 0, 0, message.count])
            #expect(open.read(2 * message.count) == message + message)
        }
    }
}

/// Two sockets that are connected to each other.
private final class SocketPair {
    let writer: Int32
    private var reader: Int32

    init() throws {
        var descriptors: [Int32] = [-1, -1]
        #if canImport(Glibc)
            let kind = Int32(SOCK_STREAM.rawValue)
        #else
            let kind = SOCK_STREAM
        #endif
        guard socketpair(AF_UNIX, kind, 0, &descriptors) == 0 else {
            throw WireFailure.system(errno)
        }
        (writer, reader) = (descriptors[0], descriptors[1])
    }

    deinit {
        close(writer)
        closeReader()
    }

    func closeReader() {
        if reader >= 0 { close(reader) }
        reader = -1
    }

    /// Writes until the socket takes nothing more.
    func fill() {
        let flags = fcntl(writer, F_GETFL)
        _ = fcntl(writer, F_SETFL, flags | O_NONBLOCK)
        let bytes = [UInt8](repeating: 0, count: 1 << 16)
        while write(writer, bytes, bytes.count) > 0 {}
        while write(writer, bytes, 1) > 0 {}
        _ = fcntl(writer, F_SETFL, flags)
    }

    func read(_ count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let got = recv(reader, &bytes, count, Int32(MSG_WAITALL))
        return Array(bytes.prefix(max(0, got)))
    }
}
