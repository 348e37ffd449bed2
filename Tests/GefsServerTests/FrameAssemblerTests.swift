import NIOCore
import NineP
import Testing

@testable import GefsServer

@Suite struct FrameAssemblerTests {
    private static let limit = 1 << 16

    private static func message(_ bodyBytes: Int, _ fill: UInt8) -> [UInt8] {
        WireConnection.message(120, [UInt8](repeating: fill, count: bodyBytes))
    }

    /// Takes all whole messages, one run after the other.
    private static func drain(_ assembler: inout FrameAssembler) throws -> [[UInt8]] {
        var messages: [[UInt8]] = []
        while var run = try assembler.nextRun(limit: limit) {
            var taken = 0
            while let size = try run.withUnsafeReadableBytes({
                try Frame(firstOf: $0, limit: limit)?.byteCount
            }) {
                messages.append(run.readBytes(length: size) ?? [])
                taken += 1
            }
            #expect(taken > 0)
            assembler.putBack(run)
        }
        return messages
    }

    @Test func `messages come out whole however they are cut`() throws {
        let messages = [(0, 1), (3, 2), (40, 3), (0, 4), (17, 5)].map {
            Self.message($0.0, UInt8($0.1))
        }
        let stream = messages.flatMap { $0 }
        for pieceBytes in 1...stream.count {
            var assembler = FrameAssembler()
            var found: [[UInt8]] = []
            var start = 0
            while start < stream.count {
                let end = min(stream.count, start + pieceBytes)
                assembler.receive(ByteBuffer(bytes: stream[start..<end]))
                found += try Self.drain(&assembler)
                start = end
            }
            #expect(found == messages, "pieces of \(pieceBytes)")
            #expect(assembler.byteCount == 0)
        }
    }

    @Test func `several pieces may wait before anything is taken`() throws {
        let messages = (0..<5).map { Self.message($0 * 7, UInt8($0)) }
        var assembler = FrameAssembler()
        for byte in messages.flatMap({ $0 }) { assembler.receive(ByteBuffer(bytes: [byte])) }
        #expect(try Self.drain(&assembler) == messages)
    }

    @Test func `what is put back comes first`() throws {
        var assembler = FrameAssembler()
        let first = Self.message(1, 1)
        let second = Self.message(2, 2)
        assembler.receive(ByteBuffer(bytes: first + second))
        assembler.receive(ByteBuffer(bytes: Self.message(3, 3)))
        var run = try #require(try assembler.nextRun(limit: Self.limit))
        run.moveReaderIndex(forwardBy: first.count)
        assembler.putBack(run)
        #expect(try Self.drain(&assembler) == [second, Self.message(3, 3)])
    }

    @Test func `a size out of bounds is found as soon as it is there`() throws {
        for size: [UInt8] in [[6, 0, 0, 0], [0, 0, 0, 0], [1, 0, 1, 0], [255, 255, 255, 255]] {
            var assembler = FrameAssembler()
            assembler.receive(ByteBuffer(bytes: size.prefix(2)))
            #expect(try assembler.nextRun(limit: Self.limit) == nil)
            assembler.receive(ByteBuffer(bytes: size.suffix(2)))
            #expect(throws: ProtocolError.self) { try assembler.nextRun(limit: Self.limit) }
        }
    }
}
