import GefsFormat
import Testing

@Suite struct PivotTests {
    @Test func `a pivot has the bytes of the format`() {
        let memory = BlockMemory()
        var builder = PivotBuilder(block: memory.base)
        builder.appendChild(Key.up(1), at: 0x8000, fill: 0x123)
        builder.append(.insert, Key.config("a".utf8), [0x55])
        builder.append(.delete, Key.config("b".utf8))
        let fill = builder.finish()
        #expect(memory.array(0..<12) == hex("0001 0001 0027 0002 000f 1fd4"))
        #expect(memory.isZero(12..<8158))
        #expect(
            memory.array(8158..<8197)
                == hex(
                    """
                    0009 020000000000000001 001a
                    0000000000008000 0000000000000007 0000000000000000 0123
                    """))
        #expect(memory.array(8197..<8201) == hex("1ff3 1fec"))
        #expect(memory.isZero(8201..<16369))
        #expect(memory.array(16369..<16384) == hex("02 0002 0662 0000" + "01 0002 0661 0001 55"))
        #expect(fill == 2 + 39 + 4 + 15)
        #expect(PivotView(unchecked: memory.base).fill == fill)
    }

    @Test func `each key goes to the last child that does not start above it`() throws {
        let memory = BlockMemory()
        for count in 1...40 {
            var builder = PivotBuilder(block: memory.base)
            for index in 0..<count {
                builder.appendChild(
                    Key.up(UInt64(index * 2 + 1)), at: UInt64(index) << 14, fill: index + 1)
            }
            builder.finish()
            try NodeCheck.check(memory.raw, at: testAddress, expecting: .pivot)
            let view = PivotView(unchecked: memory.base)
            #expect(view.childCount == count)
            for qid in 0...UInt64(count * 2) {
                let child = Key.up(qid).withBytes { view.childIndex(for: $0) }
                #expect(child == max(0, (Int(qid) - 1) / 2))
                #expect(view.pointer(child).address == blockAddress(UInt64(child) << 14))
                #expect(view.childFill(child) == child + 1)
            }
        }
    }

    @Test func `messages keep their order, and the first of a key is found`() throws {
        let memory = BlockMemory()
        var builder = PivotBuilder(block: memory.base)
        builder.appendChild(Key.up(5), at: 0x4000)
        for qid: UInt64 in [1, 3, 3, 3, 7] {
            builder.append(.clobber, Key.up(qid))
        }
        builder.finish()
        try NodeCheck.check(memory.raw, at: testAddress, expecting: .pivot)
        let view = PivotView(unchecked: memory.base)
        let firsts = (0...8).map { qid in
            Key.up(UInt64(qid)).withBytes { view.firstMessage(notBelow: $0) }
        }
        #expect(firsts == [0, 0, 1, 1, 4, 4, 4, 4, 5])
        #expect(view.message(4).kind == .clobber)
        #expect(Array(view.message(4).key) == Key.up(7).bytes)
        #expect(view.message(4).payload.isEmpty)
        #expect(Array(view.messageKey(1)) == Key.up(3).bytes)
    }

    @Test func `both halves take records until no byte is left, and no more`() throws {
        let memory = BlockMemory(byteCount: Geometry.blockBytes + 16)
        var builder = PivotBuilder(block: memory.base)
        var number: UInt64 = 0
        while builder.fitsChild(keyBytes: 17) {
            builder.appendChild(Key.data(1, offset: number), at: number << 14)
            number += 1
        }
        #expect(builder.childFill + 2 + 4 + 17 + 26 > Geometry.pivotSpaceBytes)
        number = 0
        while builder.fitsMessage(keyBytes: 17, payloadBytes: 24) {
            builder.append(.insert, Key.data(1, offset: number), Array(repeating: 1, count: 24))
            number += 1
        }
        let left = Geometry.pivotBufferBytes - builder.messageFill - 2 - 5 - 10
        #expect(builder.fitsMessage(keyBytes: 10, payloadBytes: left))
        #expect(!builder.fitsMessage(keyBytes: 10, payloadBytes: left + 1))
        let last = Key.config(Array(repeating: 1, count: 9))
        builder.append(.insert, last, Array(repeating: 2, count: left))
        builder.finish()
        #expect(builder.messageFill == Geometry.pivotBufferBytes)
        #expect(memory.array(16384..<16400) == Array(repeating: 0xee, count: 16))
        let block = UnsafeRawBufferPointer(rebasing: memory.raw[..<Geometry.blockBytes])
        try NodeCheck.check(block, at: testAddress, expecting: .pivot)
    }

    @Test func `a message can be copied from one pivot to another`() {
        let source = BlockMemory()
        var builder = PivotBuilder(block: source.base)
        builder.append(.wstat, Key.entry(parent: 1, name: "n".utf8), [0])
        builder.finish()
        let copy = BlockMemory()
        var second = PivotBuilder(block: copy.base)
        second.appendMessage(PivotView(unchecked: source.base).message(0))
        second.finish()
        #expect(copy.array(0..<16384) == source.array(0..<16384))
    }
}
