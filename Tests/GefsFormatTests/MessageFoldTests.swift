import GefsFormat
import Testing

@Suite struct MessageFoldTests {
    let scratch = BlockMemory(byteCount: Geometry.valueBytesMax)

    let entry = DirectoryEntry(
        flags: 9, qidPath: 5, qidVersion: 7, mode: 0o644, accessTime: 1, modificationTime: 2,
        length: 3, uid: 4, gid: 5, muid: 6)

    let record = SnapshotRecord(
        referenceCount: 1, labelCount: 2, height: 1, generation: Generation(rawValue: 10),
        predecessor: Generation(rawValue: 8), base: .zero,
        root: BlockPointer(address: testAddress, hash: 3, generation: .zero))

    /// One message on a value, as arrays.
    private func fold(
        _ kind: MessageKind, _ payload: [UInt8], _ current: [UInt8]?
    ) throws(FoldError) -> [UInt8]? {
        try fold([(kind, payload)], current)
    }

    /// Messages in order, each on what the one before returned.
    private func fold(
        _ messages: [(MessageKind, [UInt8])], _ current: [UInt8]?
    ) throws(FoldError) -> [UInt8]? {
        let start = current.map { Key(bytes: $0) }
        let payloads = messages.map { Key(bytes: $0.1) }
        var value: UnsafeRawBufferPointer?
        let copy = BlockMemory(byteCount: Geometry.valueBytesMax)
        if let start {
            start.bytes.withUnsafeBytes { copy.base.storeBytes(of: $0, at: 0) }
            value = UnsafeRawBufferPointer(rebasing: copy.raw[..<start.bytes.count])
        }
        for (index, payload) in payloads.enumerated() {
            let memory = BlockMemory(byteCount: Geometry.valueBytesMax)
            payload.bytes.withUnsafeBytes { memory.base.storeBytes(of: $0, at: 0) }
            let bytes = UnsafeRawBufferPointer(rebasing: memory.raw[..<payload.bytes.count])
            value = try MessageFold.apply(
                messages[index].0, payload: bytes, to: value, scratch: scratch.bytes)
            if messages[index].0 == .insert {
                // The payload goes away with its memory.
                copy.base.storeBytes(of: bytes, at: 0)
                value = UnsafeRawBufferPointer(rebasing: copy.raw[..<bytes.count])
            }
        }
        return value.map { Array($0) }
    }

    @Test func `insert replaces and creates, and returns the payload itself`() throws {
        #expect(try fold(.insert, [1, 2], nil) == [1, 2])
        #expect(try fold(.insert, [1, 2], [3]) == [1, 2])
        #expect(try fold(.insert, [], [3]) == [])
        let payload = BlockMemory(byteCount: 8)
        let value = try MessageFold.apply(
            .insert, payload: payload.raw, to: nil, scratch: scratch.bytes)
        #expect(value?.baseAddress == payload.raw.baseAddress)
    }

    @Test func `removals remove, and only delete minds an absent key`() throws {
        for kind in [MessageKind.delete, .clearb, .clobber] {
            #expect(kind.isRemoval)
            #expect(try fold(kind, [], [1]) == nil)
        }
        #expect(try fold(.clearb, [], nil) == nil)
        #expect(try fold(.clobber, [], nil) == nil)
        #expect(throws: FoldError.missingKey(.delete)) { try fold(.delete, [], nil) }
    }

    @Test func `wstat without fields adds one to the version, around the end`() throws {
        var expected = entry
        expected.qidVersion = 8
        #expect(try fold(.wstat, [0], entry.encoded()) == expected.encoded())
        var last = entry
        last.qidVersion = .max
        expected.qidVersion = 0
        #expect(try fold(.wstat, [0], last.encoded()) == expected.encoded())
    }

    @Test func `wstat fields come in bit order, and the mode sets the qid type`() throws {
        let payload = hex(
            """
            ff 0000000000001000 80000ff0 0000000000000011 0000000000000012
            fffffffe 00000013 00000014 deadbeefdeadbeef
            """)
        let expected = DirectoryEntry(
            flags: 9, qidPath: 5, qidVersion: 8, mode: 0x8000_0ff0, accessTime: 0x12,
            modificationTime: 0x11, length: 0x1000, uid: -2, gid: 0x13, muid: 0x14)
        #expect(expected.qidType == 0x80)
        #expect(try fold(.wstat, payload, entry.encoded()) == expected.encoded())
    }

    @Test(arguments: 0..<8)
    func `each wstat bit alone changes its own field`(_ bit: Int) throws {
        let sizes = [8, 4, 8, 8, 4, 4, 4, 8]
        let field = Array(repeating: UInt8(0x21), count: sizes[bit])
        let number = field.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        var expected = entry
        expected.qidVersion = 8
        switch bit {
        case 0: expected.length = Int64(number)
        case 1:
            expected.mode = UInt32(number)
            expected.qidType = 0x21
        case 2: expected.modificationTime = Int64(number)
        case 3: expected.accessTime = Int64(number)
        case 4: expected.uid = Int32(number)
        case 5: expected.gid = Int32(number)
        case 6: expected.muid = Int32(number)
        default: break
        }
        #expect(try fold(.wstat, [1 << bit] + field, entry.encoded()) == expected.encoded())
    }

    @Test func `messages build on each other, with changes in the scratch buffer`() throws {
        let messages: [(MessageKind, [UInt8])] = [
            (.wstat, [0]), (.wstat, [0x10, 0, 0, 0, 1]), (.clobber, []),
            (.insert, entry.encoded()), (.wstat, [0x20, 0, 0, 0, 2]), (.wstat, [0]),
        ]
        var expected = entry
        expected.qidVersion = 9
        expected.gid = 2
        #expect(try fold(messages, entry.encoded()) == expected.encoded())
    }

    @Test func `relink, reprev and incref change their link and both counts`() throws {
        let payload = hex("0000000000000063 ff 02")
        var expected = record
        expected.labelCount = 1
        expected.referenceCount = 3
        #expect(try fold(.incref, payload, record.encoded()) == expected.encoded())
        expected.successor = Generation(rawValue: 0x63)
        #expect(try fold(.relink, payload, record.encoded()) == expected.encoded())
        expected.successor = .none
        expected.predecessor = Generation(rawValue: 0x63)
        #expect(try fold(.reprev, payload, record.encoded()) == expected.encoded())
    }

    @Test func `a longer snapshot record keeps its rest`() throws {
        let value = try fold(.incref, hex("0000000000000000 01 01"), record.encoded() + [1, 2])
        #expect(value?.count == 74)
        #expect(value?.suffix(2) == [1, 2])
    }

    @Test func `counts neither become negative nor wrap`() {
        let id = Generation(rawValue: 10)
        #expect(throws: FoldError.countRange(snapshot: id, count: 2, change: -3)) {
            try fold(.incref, hex("0000000000000000 fd 00"), record.encoded())
        }
        #expect(throws: FoldError.countRange(snapshot: id, count: 1, change: -2)) {
            try fold(.relink, hex("0000000000000000 00 fe"), record.encoded())
        }
        var full = record
        full.referenceCount = .max
        #expect(throws: FoldError.countRange(snapshot: id, count: .max, change: 1)) {
            try fold(.reprev, hex("0000000000000000 00 01"), full.encoded())
        }
    }

    @Test func `changes need a value of their kind and a whole payload`() {
        for kind in [MessageKind.wstat, .relink, .reprev, .incref] {
            let payload = Array(repeating: UInt8(0), count: kind == .wstat ? 1 : 10)
            let size = kind == .wstat ? 61 : 72
            #expect(throws: FoldError.missingKey(kind)) { try fold(kind, payload, nil) }
            #expect(throws: FoldError.valueSize(kind, found: 24, expected: size)) {
                try fold(kind, payload, Array(repeating: 0, count: 24))
            }
            #expect(
                throws: FoldError.payloadSize(
                    kind, found: payload.count + 1, expected: payload.count)
            ) {
                try fold(kind, payload + [0], Array(repeating: 0, count: size))
            }
        }
        #expect(throws: FoldError.payloadSize(.wstat, found: 0, expected: 1)) {
            try fold(.wstat, [], entry.encoded())
        }
    }

    @Test func `an unknown number is no message kind`() throws {
        for number: UInt8 in [0, 9, 255] {
            #expect(throws: FoldError.unknownKind(number)) { try MessageKind(checking: number) }
        }
        for kind in MessageKind.allCases {
            #expect(try MessageKind(checking: kind.rawValue) == kind)
        }
    }
}
