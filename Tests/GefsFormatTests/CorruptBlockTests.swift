import GefsFormat
import Testing

@Suite struct CorruptBlockTests {
    @Test func `the message says what, where, found and expected`() {
        let kind = CorruptBlock(testAddress, .pivot, .kind(found: 2, expected: .pivot))
        #expect(kind.description == "corrupt pivot: block 0x7f4000: kind 2, expected 1")
        let hash = CorruptBlock(testAddress, .data, .hash(found: 0xab, expected: 0xcd))
        #expect(hash.description == "corrupt data: block 0x7f4000: hash 0xab, expected 0xcd")
        let node = CorruptBlock(testAddress, .node, .notNode(kind: 9))
        #expect(node.description == "corrupt tree node: block 0x7f4000: kind 9, expected 1 or 2")
        let log = CorruptBlock(testAddress, .allocationLog, .logOperation(offset: 8, 6))
        #expect(
            log.description
                == "corrupt allocation log: block 0x7f4000: entry at 8: operation 6, expected 1 to 5"
        )
    }

    @Test(arguments: [
        CorruptBlock.Reason.blockSize(found: 1), .kind(found: 2, expected: .pivot),
        .notNode(kind: 3), .hash(found: 1, expected: 2), .address(.none), .emptyNode,
        .areaOverflow(count: 1, byteCount: 2, areaBytes: 3), .recordBytes(found: 1, expected: 2),
        .recordOverlap, .recordOutside(index: 1, offset: 2, heapStart: 3, areaBytes: 4),
        .valueTooLong(index: 1, byteCount: 2), .key(index: 1, .terminator), .keyOrder(index: 1),
        .valueSize(index: 1, .data, found: 2, expected: 3), .upTarget(index: 1),
        .pivotValueSize(index: 1, found: 2), .childAddress(index: 1, .none),
        .childFill(index: 1, fill: 2), .messageOrder(index: 1), .messageKind(index: 1, 2),
        .messageKey(index: 1, .wstat, .up), .payloadSize(index: 1, .wstat, found: 2, expected: 3),
        .entryBytes(1), .logOperation(offset: 1, 2), .logTruncated(offset: 1),
        .logRange(offset: 1, start: 2, byteCount: 3), .deadAddress(index: 1, .none), .magic(1),
        .superblockBlockBytes(1), .superblockBufferBytes(1), .arenaCount(1), .featureFlags(1),
        .treeHeight(1), .rootAddress(.none), .commitGeneration(1), .nextGeneration(1),
        .pendingList(head: .none, tail: .none),
        .arenaAddress(index: 1, .none), .arenaBytes(1), .logHead(.none),
    ])
    func `each reason has words of its own`(_ reason: CorruptBlock.Reason) {
        #expect(!reason.description.isEmpty)
        #expect(reason.description != "unreadable")
    }
}
