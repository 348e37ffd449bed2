import Testing

@testable import GefsEngine

@Suite struct BlockBitsTests {
    @Test func `ranges behave as single bits do`() {
        let seed = storeTestSeed()
        var random = SplitMix(seed: seed)
        let count = 3 * 32768 + 77
        let bits = BlockBits(count: count)
        var model = [Bool](repeating: false, count: count)
        for _ in 0..<300 {
            let start = random.next(below: count)
            let length =
                random.next(below: 3) == 0 ? random.next(below: count) : random.next(below: 200)
            let range = start..<min(count, start + length)
            switch random.next(below: 4) {
            case 0:
                #expect(bits.insert(start) == !model[start])
                model[start] = true
            case 1:
                let value = random.next(below: 2) == 0
                #expect(bits.isUniform(range, value) == model[range].allSatisfy { $0 == value })
            default:
                let value = random.next(below: 2) == 0
                bits.set(range, to: value)
                for index in range { model[index] = value }
            }
            let probe = random.next(below: count)
            #expect(bits[probe] == model[probe])
            let end = model[probe...].firstIndex { $0 != model[probe] } ?? count
            #expect(bits.endOfRun(from: probe, to: count) == end)
            let limit = min(count, probe + 1 + random.next(below: 100))
            #expect(bits.endOfRun(from: probe, to: limit) == min(end, limit))
        }
        #expect((0..<count).allSatisfy { bits[$0] == model[$0] })
    }

    @Test(arguments: [0, 1, 63, 64, 65, 32767, 32768, 32769])
    func `maps of every size hold their bits`(count: Int) {
        let bits = BlockBits(count: count)
        bits.set(0..<count, to: true)
        #expect(bits.isUniform(0..<count, true))
        bits.set(0..<count, to: false)
        #expect(bits.isUniform(0..<count, false))
    }
}
