import GefsFormat
import Testing

@Suite struct KeyOrderTests {
    private func order(_ a: [UInt8], _ b: [UInt8]) -> Int {
        a.withUnsafeBytes { a in b.withUnsafeBytes { b in compareKeys(a, b).signum() } }
    }

    /// The rule, word for word: bytes over the shorter length, then the lengths.
    private func expectedOrder(_ a: [UInt8], _ b: [UInt8]) -> Int {
        for (x, y) in zip(a, b) where x != y { return x < y ? -1 : 1 }
        return (a.count - b.count).signum()
    }

    @Test func `bytes compare unsigned and the shorter key sorts first`() {
        #expect(order([0x7f], [0x80]) < 0)
        #expect(order([1], [1, 0]) < 0)
        #expect(order([2], [1, 0xff]) > 0)
        #expect(order([], []) == 0)
        #expect(order([], [0]) < 0)
        #expect(order([0], []) > 0)
    }

    @Test func `a difference at any place decides, for every pair of small sizes`() {
        for left in 0...34 {
            for right in 0...34 {
                let a = [UInt8](repeating: 0x55, count: left)
                let b = [UInt8](repeating: 0x55, count: right)
                #expect(order(a, b) == (left - right).signum())
                for place in 0..<min(left, right) {
                    var larger = b
                    larger[place] = 0xaa
                    #expect(order(a, larger) < 0)
                    #expect(order(larger, a) > 0)
                }
            }
        }
    }

    @Test func `random keys of few letters compare by the rule`() {
        var random = SeededRandom()
        func key() -> [UInt8] {
            let count = Int.random(in: 0...40, using: &random)
            return (0..<count).map { _ in Bool.random(using: &random) ? 0 : 0xff }
        }
        for _ in 0..<20_000 {
            let a = key()
            let b = Bool.random(using: &random) ? key() : Array(a.prefix(20)) + key()
            #expect(order(a, b) == expectedOrder(a, b))
        }
    }
}
