import GefsFormat
import Testing

@Suite struct LeafTests {
    @Test func `a leaf has the bytes of the format: first record last, slack zero`() {
        let memory = BlockMemory()
        var builder = LeafBuilder(block: memory.base)
        builder.append(Key.config("a".utf8), [0x11, 0x22])
        builder.append(Key.config("bc".utf8), [])
        let fill = builder.finish()
        #expect(memory.array(0..<10) == hex("0002 0002 000f 3ff2 3feb"))
        #expect(memory.isZero(10..<16369))
        #expect(memory.array(16369..<16384) == hex("0003 066263 0000" + "0002 0661 0002 1122"))
        #expect(fill == 2 * 2 + 15)
        #expect(LeafView(unchecked: memory.base).fill == fill)
    }

    @Test func `what was appended is read back and found, for every count`() throws {
        let memory = BlockMemory()
        for count in 1...40 {
            var builder = LeafBuilder(block: memory.base)
            for index in 0..<count {
                let qid = UInt64(index * 2 + 1)
                builder.append(Key.up(qid), Key.entry(parent: qid, name: "x".utf8).bytes)
            }
            builder.finish()
            try NodeCheck.check(memory.raw, at: testAddress, expecting: .leaf)
            let view = LeafView(unchecked: memory.base)
            #expect(view.count == count)
            for qid in 0...UInt64(count * 2 + 1) {
                let result = Key.up(qid).withBytes { view.search($0) }
                #expect(result.index == Int(qid / 2))
                #expect(result.found == (qid % 2 == 1 && qid < count * 2))
                guard result.found else { continue }
                #expect(Array(view.key(result.index)) == Key.up(qid).bytes)
                let value = Key.entry(parent: qid, name: "x".utf8).bytes
                #expect(Array(view.value(result.index)) == value)
            }
        }
    }

    @Test func `a leaf takes records until no byte is left`() throws {
        let memory = BlockMemory(byteCount: Geometry.blockBytes + 16)
        var builder = LeafBuilder(block: memory.base)
        var index: UInt16 = 0
        func key() -> Key { Key.config([UInt8(index >> 8), UInt8(index & 0xff)]) }
        while builder.fits(keyBytes: 3, valueBytes: 200) {
            builder.append(key(), Array(repeating: 7, count: 200))
            index += 1
        }
        let left = Geometry.leafSpaceBytes - builder.fill - 2 - 4 - 3
        #expect(left >= 0 && left < 200)
        #expect(builder.fits(keyBytes: 3, valueBytes: left))
        #expect(!builder.fits(keyBytes: 3, valueBytes: left + 1))
        builder.append(key(), Array(repeating: 8, count: left))
        #expect(builder.finish() == Geometry.leafSpaceBytes)
        #expect(memory.array(16384..<16400) == Array(repeating: 0xee, count: 16))
        let block = UnsafeRawBufferPointer(rebasing: memory.raw[..<Geometry.blockBytes])
        try NodeCheck.check(block, at: testAddress, expecting: .leaf)
    }

    @Test func `random leaves read back as they were written`() throws {
        var random = SeededRandom()
        let memory = BlockMemory()
        for _ in 0..<200 {
            var model: [Key: [UInt8]] = [:]
            for _ in 0..<Int.random(in: 1...60, using: &random) {
                let text = random.bytes(Int.random(in: 0...12, using: &random))
                let value = random.bytes(Int.random(in: 0...200, using: &random))
                model[Key.config(text)] = value
            }
            var builder = LeafBuilder(block: memory.base)
            for (key, value) in model.sorted(by: { $0.key < $1.key }) {
                builder.append(key, value)
            }
            builder.finish()
            try NodeCheck.check(memory.raw, at: testAddress)
            let view = LeafView(unchecked: memory.base)
            #expect(view.count == model.count)
            for (key, value) in model {
                let place = key.withBytes { view.search($0) }
                #expect(place.found && Array(view.value(place.index)) == value)
            }
        }
    }
}
