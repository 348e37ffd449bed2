import GefsFormat
import Testing

extension ChainBlockBuilder {
    fileprivate mutating func expectRoom(for entry: LogEntry, withLength: Bool = false) {
        let hasRoom = append(entry, withLength: withLength)
        #expect(hasRoom)
    }
}

@Suite struct ChainBlockTests {
    private func entries(_ view: ChainBlockView) throws -> [LogEntry] {
        var cursor = view.logEntries()
        var entries: [LogEntry] = []
        while let entry = try cursor.next() { entries.append(entry) }
        #expect(cursor.offset == view.usedBytes)
        return entries
    }

    private func check(
        _ memory: BlockMemory, _ kind: BlockKind = .allocationLog
    ) throws(CorruptBlock) -> ChainBlockView {
        try ChainBlockView(checking: memory.raw, at: testAddress, expecting: kind)
    }

    private func reason(_ body: () throws(CorruptBlock) -> Void) -> CorruptBlock.Reason? {
        do throws(CorruptBlock) {
            try body()
            return nil
        } catch {
            return error.reason
        }
    }

    /// A log block with these words as entries and a right hash.
    private func log(_ words: [UInt64]) -> BlockMemory {
        let memory = BlockMemory()
        memory.store(UInt16(3), at: 0)
        memory.store(UInt16(words.count * 8), at: 2)
        for (index, word) in words.enumerated() { memory.store(word, at: 36 + index * 8) }
        let used = UnsafeRawBufferPointer(rebasing: memory.raw[36..<36 + words.count * 8])
        memory.store(MetroHash64.hash(used), at: 4)
        return memory
    }

    private func reason(words: [UInt64]) -> CorruptBlock.Reason? {
        let memory = log(words)
        return reason { () throws(CorruptBlock) in
            var cursor = try check(memory).logEntries()
            while try cursor.next() != nil {}
        }
    }

    @Test func `a log block has the bytes of the format`() throws {
        let memory = BlockMemory()
        var builder = ChainBlockBuilder(block: memory.base)
        let list: [LogEntry] = [
            .free(blockAddress(0xc000), byteCount: 0xfec000),
            .allocate(blockAddress(0xc000), byteCount: 0x4000),
            .free(blockAddress(0x10000), byteCount: 0x4000),
            .allocate(blockAddress(0x14000), byteCount: 0x8000),
            .sync(0x1234),
        ]
        for (index, entry) in list.enumerated() {
            builder.expectRoom(for: entry, withLength: index == 1)
        }
        let next = BlockPointer(
            address: blockAddress(0x20000), hash: 1, generation: Generation(rawValue: 2))
        builder.finish(kind: .allocationLog, next: next)
        let expected = hex(
            """
            000000000000c005 0000000000fec000 000000000000c004 0000000000004000
            0000000000010002 0000000000014004 0000000000008000 0000000000123403
            """)
        #expect(memory.array(0..<4) == hex("0003 0040"))
        #expect(
            memory.load(4, as: UInt64.self) == expected.withUnsafeBytes { MetroHash64.hash($0) })
        #expect(
            memory.array(12..<36) == hex("0000000000020000 0000000000000001 0000000000000002"))
        #expect(memory.array(36..<100) == expected)
        #expect(memory.isZero(100..<16384))

        let view = try check(memory)
        #expect(try entries(view) == list)
        #expect(view.next == next)
        #expect(try view.checkedNext() == next.address)
    }

    @Test func `a deadlist block holds addresses in the order they were added`() throws {
        let memory = BlockMemory()
        var builder = ChainBlockBuilder(block: memory.base)
        for index in 1...3 {
            let hasRoom = builder.append(blockAddress(UInt64(index) * 0x4000))
            #expect(hasRoom)
        }
        builder.finish(kind: .deadlist)
        #expect(memory.array(0..<4) == hex("0004 0018"))
        let view = try check(memory, .deadlist)
        #expect(view.addressCount == 3)
        for index in 0..<3 {
            #expect(try view.deadAddress(index) == blockAddress(UInt64(index + 1) * 0x4000))
        }
        #expect(try view.checkedNext().isNone)
    }

    @Test func `a block is full when only the tail room is left, and never overflows`() throws {
        let memory = BlockMemory(byteCount: Geometry.blockBytes + 8)
        var builder = ChainBlockBuilder(block: memory.base)
        var fullAt: Int?
        while builder.append(.sync(1)) {
            if builder.isFull, fullAt == nil { fullAt = builder.usedBytes }
        }
        #expect(fullAt == 16312)
        #expect(builder.usedBytes == 16344)
        let hasRoomForRange = builder.append(.free(blockAddress(0), byteCount: 0x8000))
        let hasRoomForAddress = builder.append(blockAddress(0))
        #expect(!hasRoomForRange && !hasRoomForAddress)
        builder.finish(kind: .allocationLog)
        #expect(memory.bytes[Geometry.blockBytes] == 0xee)
        let block = UnsafeRawBufferPointer(rebasing: memory.raw[..<Geometry.blockBytes])
        let view = try ChainBlockView(checking: block, at: testAddress, expecting: .allocationLog)
        #expect(try entries(view).count == 2043)
    }

    @Test func `a finished block can be continued, cut, and linked on`() throws {
        let memory = BlockMemory()
        var builder = ChainBlockBuilder(block: memory.base)
        for number: UInt64 in 1...4 { builder.expectRoom(for: .sync(number)) }
        builder.finish(kind: .allocationLog)

        var continued = ChainBlockBuilder(continuing: memory.base)
        continued.expectRoom(for: .sync(5))
        continued.finish(kind: .allocationLog)
        #expect(try entries(check(memory)) == (1...5).map { .sync($0) })

        var cut = ChainBlockBuilder(continuing: memory.base, usedBytes: 16)
        cut.finish(kind: .allocationLog)
        #expect(try entries(check(memory)) == [.sync(1), .sync(2)])

        let before = memory.array(0..<16384)
        let next = BlockPointer(address: blockAddress(0x4000), hash: 0, generation: .zero)
        ChainBlockBuilder.setNext(next, in: memory.base)
        #expect(try check(memory).checkedNext() == next.address)
        #expect(memory.array(0..<12) == Array(before[..<12]))
        #expect(memory.array(36..<16384) == Array(before[36...]))
    }

    @Test func `the offset of the cursor says where to cut`() throws {
        let memory = log([0x4001, 0x103, 0x8002])
        var cursor = try check(memory).logEntries()
        let first = try cursor.next()
        #expect(first == .allocate(blockAddress(0x4000), byteCount: 0x4000))
        #expect(cursor.offset == 8)
        let second = try cursor.next()
        #expect(second == .sync(1))
        #expect(cursor.offset == 16)
    }

    @Test func `header faults are told apart`() {
        let memory = log([0x4001])
        #expect(
            reason { () throws(CorruptBlock) in _ = try check(memory, .deadlist) }
                == .kind(found: 3, expected: .deadlist))
        for used: UInt16 in [7, 16352, .max] {
            memory.store(used, at: 2)
            #expect(
                reason { () throws(CorruptBlock) in _ = try check(memory) }
                    == .entryBytes(Int(used)))
        }
        memory.store(UInt16(0), at: 2)
        guard case .hash = reason({ () throws(CorruptBlock) in _ = try check(memory) }) else {
            Issue.record("a changed size must change the hash")
            return
        }
        let linked = log([])
        linked.store(UInt64(0x4001), at: 12)
        #expect(
            reason { () throws(CorruptBlock) in _ = try check(linked).checkedNext() }
                == .address(blockAddress(0x4001)))
    }

    @Test func `entry faults are told apart`() {
        #expect(reason(words: [0x4000]) == .logOperation(offset: 0, 0))
        #expect(reason(words: [0x103, 0x4006]) == .logOperation(offset: 8, 6))
        #expect(reason(words: [0x4004]) == .logTruncated(offset: 0))
        #expect(
            reason(words: [0x4101]) == .logRange(offset: 0, start: 0x4100, byteCount: 0x4000))
        for byteCount: UInt64 in [0, 0x4001, .max & ~0x3fff] {
            #expect(
                reason(words: [0x4005, byteCount])
                    == .logRange(offset: 0, start: 0x4000, byteCount: byteCount))
        }
    }

    @Test func `an unaligned address of a deadlist is an error`() throws {
        let memory = log([0x4000, 0x4001])
        memory.store(UInt16(4), at: 0)
        let view = try check(memory, .deadlist)
        #expect(try view.deadAddress(0) == blockAddress(0x4000))
        #expect(
            reason { () throws(CorruptBlock) in _ = try view.deadAddress(1) }
                == .deadAddress(index: 1, blockAddress(0x4001)))
    }
}
