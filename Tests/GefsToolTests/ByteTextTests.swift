import GefsControl
import Testing

@testable import GefsTool

struct ByteTextTests {
    @Test func `every byte string of two bytes survives as text`() {
        for first in UInt8.min...UInt8.max {
            for second in UInt8.min...UInt8.max {
                let bytes = [first, second]
                #expect(ByteText.bytes(of: ByteText.string(bytes)) == bytes)
            }
        }
    }

    @Test func `bytes without any order survive as text`() {
        var state: UInt64 = 1
        for length in 0..<2000 {
            let bytes = (0..<length % 41).map { _ in
                state = state &* 6_364_136_223_846_793_005 &+ 1
                return UInt8(truncatingIfNeeded: state >> 56)
            }
            #expect(ByteText.bytes(of: ByteText.string(bytes)) == bytes)
        }
    }

    @Test func `what a terminal would obey is escaped`() {
        #expect(ByteText.shown("a\u{1b}[31mb\n") == "a\\x1b[31mb\\x0a")
        #expect(ByteText.shown("plain ünïcode 文") == "plain ünïcode 文")
        #expect(ByteText.shown([0xc3]) == "\\xc3")
        #expect(ByteText.shownLines("a\u{7f}\nb") == "a\\x7f\nb")
    }

    @Test func `text is told from bytes`() {
        #expect(ByteText.isText(Array("grün".utf8)))
        #expect(!ByteText.isText([0x66, 0xfc]))
        #expect(ByteText.hexadecimal([0, 0x0f, 0xff]) == "000fff")
    }
}
