import GefsFormat
import Testing

/// The three values that only the snapshot tree has.
@Suite struct SnapshotRecordTests {
    let bytes = hex(
        """
        00000001 00000002 00000003 00000004 0000000000000005 0000000000000006
        ffffffffffffffff 0000000000000007
        0000000000008000 1112131415161718 0000000000000009
        """)

    private func decoding<R>(
        _ bytes: [UInt8], _ decode: (UnsafeRawBufferPointer) throws(RecordError) -> R
    ) throws(RecordError) -> R {
        try Key(bytes: bytes).withBytes(decode)
    }

    @Test func `a snapshot is 72 bytes in the order of the format`() throws {
        #expect(bytes.count == SnapshotRecord.byteCount)
        let record = try decoding(bytes, SnapshotRecord.init(decoding:))
        #expect(record.referenceCount == 1)
        #expect(record.labelCount == 2)
        #expect(record.height == 3)
        #expect(record.flags == 4)
        #expect(record.generation == Generation(rawValue: 5))
        #expect(record.predecessor == Generation(rawValue: 6))
        #expect(record.successor == .none)
        #expect(record.base == Generation(rawValue: 7))
        #expect(
            record.root
                == BlockPointer(
                    address: blockAddress(0x8000), hash: 0x1112_1314_1516_1718,
                    generation: Generation(rawValue: 9)))
        #expect(record.encoded() == bytes)
    }

    @Test func `a snapshot may be longer, not shorter`() throws {
        let record = try decoding(bytes + [1, 2, 3], SnapshotRecord.init(decoding:))
        #expect(record.encoded() == bytes)
        #expect(throws: RecordError.size(found: 71, expected: 72)) {
            try decoding(Array(bytes.dropLast()), SnapshotRecord.init(decoding:))
        }
    }

    @Test func `a label is 13 bytes: a snapshot key and flags`() throws {
        let bytes = hex("04 0000000000000011 00000001")
        let record = try decoding(bytes, LabelRecord.init(decoding:))
        #expect(record == LabelRecord(generation: Generation(rawValue: 17), flags: 1))
        #expect(record.isMutable)
        #expect(record.encoded() == bytes)
        #expect(bytes.count == LabelRecord.byteCount)
        #expect(!LabelRecord(generation: .zero, flags: 6).isMutable)
    }

    @Test func `a label of another size or target is refused`() {
        #expect(throws: RecordError.size(found: 12, expected: 13)) {
            try decoding(Array(repeating: 4, count: 12), LabelRecord.init(decoding:))
        }
        #expect(throws: RecordError.labelTarget(kind: 5)) {
            try decoding(Array(repeating: 5, count: 13), LabelRecord.init(decoding:))
        }
    }

    @Test func `a deadlist is 48 bytes: head and tail`() throws {
        let bytes = hex(
            """
            0000000000004000 0000000000000001 0000000000000002
            0000000000008000 0000000000000003 0000000000000004
            """)
        let record = try decoding(bytes, DeadlistRecord.init(decoding:))
        #expect(record.head.address == blockAddress(0x4000))
        #expect(record.tail.address == blockAddress(0x8000))
        #expect(record.tail.generation == Generation(rawValue: 4))
        #expect(record.encoded() == bytes)
        #expect(!record.isEmpty)
        #expect(DeadlistRecord(head: .none, tail: .none).isEmpty)
        #expect(bytes.count == DeadlistRecord.byteCount)
        #expect(throws: RecordError.size(found: 47, expected: 48)) {
            try decoding(Array(bytes.dropLast()), DeadlistRecord.init(decoding:))
        }
    }
}
