import Testing

@testable import GefsServer

struct ReplySpoolTests {
    @Test func `a reply is read as it was written, whether it fits memory or not`() {
        for pieceCount in [0, 1, 3, 5000, 60_000] {
            let spool = ReplySpool()
            var expected: [UInt8] = []
            for index in 0..<pieceCount {
                let piece = "piece \(index) of \(pieceCount), \(index &* 0x9E37_79B9)\n"
                expected += piece.utf8
                spool.append(piece)
            }
            #expect(spool.byteCount == expected.count)
            var found: [UInt8] = []
            while true {
                let piece = spool.read(at: found.count, count: 8191)
                found += piece
                // A short piece is the end, to those who read.
                if piece.count < 8191 { break }
            }
            let isSame = found == expected
            #expect(isSame, "\(pieceCount) pieces")
            #expect(spool.read(at: expected.count + 1, count: 10).isEmpty)
            #expect(spool.read(at: .max, count: 10).isEmpty)
        }
    }
}
