import GefsFormat
import Testing

@Suite struct NodeCheckTests {
    private func reason(
        _ memory: BlockMemory, _ expectation: NodeCheck.Expectation = .either
    ) -> CorruptBlock.Reason? {
        do throws(CorruptBlock) {
            try NodeCheck.check(memory.raw, at: testAddress, expecting: expectation)
            return nil
        } catch {
            #expect(error.address == testAddress)
            return error.reason
        }
    }

    private func leaf(_ records: [(Key, [UInt8])]) -> BlockMemory {
        let memory = BlockMemory()
        var builder = LeafBuilder(block: memory.base)
        for (key, value) in records { builder.append(key, value) }
        builder.finish()
        return memory
    }

    private func pivot(_ messages: [(MessageKind, Key, [UInt8])]) -> BlockMemory {
        let memory = BlockMemory()
        var builder = PivotBuilder(block: memory.base)
        builder.appendChild(Key.up(5), at: 0x4000)
        builder.appendChild(Key.up(6), at: 0x8000)
        for (kind, key, payload) in messages { builder.append(kind, key, payload) }
        builder.finish()
        return memory
    }

    /// Two settings: records of 8 bytes each at 16362 and 16370 of the area.
    private func twoSettings() -> BlockMemory {
        leaf([(Key.config("a".utf8), [1, 1]), (Key.config("b".utf8), [2, 2])])
    }

    private func zeros(_ count: Int) -> [UInt8] { Array(repeating: 0, count: count) }

    @Test func `the kind has to be the expected one`() throws {
        let leaf = twoSettings()
        let pivot = pivot([])
        #expect(try NodeCheck.check(leaf.raw, at: testAddress) == .leaf)
        #expect(try NodeCheck.check(pivot.raw, at: testAddress) == .pivot)
        #expect(reason(leaf, .leaf) == nil)
        #expect(reason(pivot, .pivot) == nil)
        #expect(reason(leaf, .pivot) == .kind(found: 2, expected: .pivot))
        #expect(reason(pivot, .leaf) == .kind(found: 1, expected: .leaf))
        leaf.store(UInt16(5), at: 0)
        #expect(reason(leaf) == .notNode(kind: 5))
        #expect(reason(BlockMemory(byteCount: 16383)) == .blockSize(found: 16383))
    }

    @Test func `an empty node is refused, a pivot with one child is not`() {
        #expect(reason(leaf([])) == .emptyNode)
        let memory = BlockMemory()
        var builder = PivotBuilder(block: memory.base)
        builder.append(.clobber, Key.up(1))
        builder.finish()
        #expect(reason(memory) == .emptyNode)
        builder.appendChild(Key.up(1), at: 0x4000)
        builder.finish()
        #expect(reason(memory) == nil)
    }

    @Test func `counts and sizes must fit the area`() {
        let memory = twoSettings()
        memory.store(UInt16.max, at: 2)
        #expect(
            reason(memory) == .areaOverflow(count: 65535, byteCount: 16, areaBytes: 16378))
        memory.store(UInt16(2), at: 2)
        memory.store(UInt16(16375), at: 4)
        #expect(
            reason(memory) == .areaOverflow(count: 2, byteCount: 16375, areaBytes: 16378))
        let pivot = pivot([])
        pivot.store(UInt16(8187), at: 6)
        #expect(
            reason(pivot) == .areaOverflow(count: 8187, byteCount: 0, areaBytes: 8187))
    }

    @Test func `records must lie in the heap`() {
        for offset: UInt16 in [0, 4, 16361, 16375, 16377, 16378, .max] {
            let memory = twoSettings()
            memory.store(offset, at: 6)
            #expect(
                reason(memory)
                    == .recordOutside(
                        index: 0, offset: Int(offset), heapStart: 16362, areaBytes: 16378))
        }
        for length: UInt16 in [100, .max] {
            let memory = twoSettings()
            memory.store(length, at: 6 + 16370)
            guard case .recordOutside(index: 0, _, _, _) = reason(memory) else {
                Issue.record("a key of \(length) bytes has to be outside")
                continue
            }
        }
    }

    @Test func `records must add up and not overlap`() {
        let shorter = twoSettings()
        shorter.store(UInt16(1), at: 6 + 16370 + 4)
        #expect(reason(shorter) == .recordBytes(found: 15, expected: 16))
        let twice = twoSettings()
        twice.store(UInt16(16362), at: 6)
        #expect(reason(twice) == .recordOverlap)
    }

    @Test func `records may lie in any order`() {
        let memory = twoSettings()
        memory.store(UInt16(16362), at: 6)
        memory.store(UInt16(16370), at: 8)
        memory.bytes[6 + 16362 + 3] = 0x61
        memory.bytes[6 + 16370 + 3] = 0x62
        #expect(reason(memory) == nil)
    }

    @Test func `keys must be valid and ascend strictly`() {
        let equal = twoSettings()
        equal.bytes[6 + 16362 + 3] = 0x61
        #expect(reason(equal) == .keyOrder(index: 1))
        let falling = twoSettings()
        falling.bytes[6 + 16362 + 3] = 0x60
        #expect(reason(falling) == .keyOrder(index: 1))
        let foreign = twoSettings()
        foreign.bytes[6 + 16362 + 2] = 0x77
        #expect(reason(foreign) == .key(index: 1, .unknownKind(0x77)))
    }

    @Test func `values over the limit are refused`() {
        let memory = BlockMemory()
        var builder = LeafBuilder(block: memory.base)
        builder.append(Key.config("a".utf8), zeros(512))
        builder.append(Key.config("b".utf8), zeros(0))
        builder.finish()
        #expect(reason(memory) == nil)
        // Moves one byte from the neighbour's key to the value.
        memory.store(UInt16(16378 - 518 - 6), at: 8)
        let record = 6 + 16378 - 518
        memory.store(UInt16(1), at: record)
        memory.store(UInt16(513), at: record + 3)
        #expect(reason(memory) == .valueTooLong(index: 0, byteCount: 513))
    }

    @Test(arguments: [
        (Key.data(1, offset: 0), 24), (Key.entry(parent: 1, name: [0x61]), 61),
        (Key.label([0x61]), 13), (Key.snapshot(.zero), 72),
        (Key.deadlist(.zero, birth: .zero), 48),
    ])
    func `values have the size that the kind demands, in leaves and inserts`(
        _ key: Key, _ byteCount: Int
    ) throws {
        let kind = try #require(KeyKind(rawValue: key.bytes[0]))
        #expect(reason(leaf([(key, zeros(byteCount))])) == nil)
        #expect(reason(pivot([(.insert, key, zeros(byteCount))])) == nil)
        for wrong in [0, byteCount - 1] {
            let expected = CorruptBlock.Reason.valueSize(
                index: 0, kind, found: wrong, expected: byteCount)
            #expect(reason(leaf([(key, zeros(wrong))])) == expected)
            #expect(reason(pivot([(.insert, key, zeros(wrong))])) == expected)
        }
        // Records of snapshots may be longer, all others may not.
        #expect((reason(leaf([(key, zeros(byteCount + 1))])) == nil) == (kind == .snapshot))
    }

    @Test func `the way up must lead to an entry key`() {
        #expect(reason(leaf([(Key.up(1), Key.entry(parent: 0, name: [0x61]).bytes)])) == nil)
        #expect(reason(leaf([(Key.up(1), Key.up(0).bytes)])) == .upTarget(index: 0))
        #expect(reason(leaf([(Key.up(1), [])])) == .upTarget(index: 0))
    }

    @Test func `children need an address, a fill and a whole value`() {
        let memory = pivot([])
        // The first child's record ends the area: key 9, value 26 bytes.
        let value = 8197 - 26
        memory.store(UInt64(0x4001), at: value)
        #expect(reason(memory) == .childAddress(index: 0, blockAddress(0x4001)))
        memory.store(UInt64.max, at: value)
        #expect(reason(memory) == .childAddress(index: 0, .none))
        memory.store(UInt64(0x4000), at: value)
        for fill: UInt16 in [0, 16379, .max] {
            memory.store(fill, at: value + 24)
            #expect(reason(memory) == .childFill(index: 0, fill: Int(fill)))
        }
        memory.store(UInt16(100), at: value + 24)
        #expect(reason(memory) == nil)
        memory.store(UInt16(10), at: value - 13)
        memory.store(UInt16(25), at: value - 1)
        #expect(reason(memory) == .pivotValueSize(index: 0, found: 25))
    }

    @Test func `messages may lie below the first child and repeat keys, but not fall`() {
        #expect(reason(pivot([(.clobber, Key.up(1), []), (.clobber, Key.up(1), [])])) == nil)
        let memory = pivot([(.clobber, Key.up(1), []), (.clobber, Key.up(2), [])])
        memory.bytes[16384 - 14 - 3] = 0
        #expect(reason(memory) == .messageOrder(index: 1))
    }

    @Test func `message kinds are known`() {
        for kind: UInt8 in [0, 9, 255] {
            let memory = pivot([(.clobber, Key.up(1), [])])
            memory.bytes[16384 - 14] = kind
            #expect(reason(memory) == .messageKind(index: 0, kind))
        }
    }

    @Test func `payloads have the size that the message demands`() {
        let entry = Key.entry(parent: 1, name: [0x61])
        #expect(reason(pivot([(.wstat, entry, [0])])) == nil)
        #expect(reason(pivot([(.wstat, entry, [0xff] + zeros(48))])) == nil)
        #expect(
            reason(pivot([(.wstat, entry, [0x03] + zeros(11))]))
                == .payloadSize(index: 0, .wstat, found: 12, expected: 13))
        #expect(
            reason(pivot([(.wstat, entry, [])]))
                == .payloadSize(index: 0, .wstat, found: 0, expected: 1))
        for kind in [MessageKind.relink, .reprev, .incref] {
            #expect(reason(pivot([(kind, Key.snapshot(.zero), zeros(10))])) == nil)
            #expect(
                reason(pivot([(kind, Key.snapshot(.zero), zeros(9))]))
                    == .payloadSize(index: 0, kind, found: 9, expected: 10))
            #expect(
                reason(pivot([(kind, entry, zeros(10))])) == .messageKey(index: 0, kind, .entry))
        }
        #expect(
            reason(pivot([(.wstat, Key.up(1), [0])])) == .messageKey(index: 0, .wstat, .up))
        // Dialect N deletes a deadlist with the record that was there.
        let deadlist = Key.deadlist(.zero, birth: .zero)
        #expect(reason(pivot([(.delete, deadlist, zeros(48))])) == nil)
        #expect(reason(pivot([(.delete, deadlist, [])])) == nil)
    }
}
