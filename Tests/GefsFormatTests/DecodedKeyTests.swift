import GefsFormat
import Testing

@Suite struct DecodedKeyTests {
    private func decode(_ bytes: [UInt8]) throws(KeyError) -> DecodedKey {
        try Key(bytes: bytes).withBytes { (bytes) throws(KeyError) in try DecodedKey(bytes) }
    }

    static let keys: [DecodedKey] = [
        .data(qid: 1, offset: 0x4000), .data(qid: .max, offset: .max),
        .entry(parent: .max, name: []), .entry(parent: 9, name: [0x61, 0xff]),
        .entry(parent: 9, name: Array(repeating: 1, count: Geometry.nameBytesMax)),
        .up(qid: 3), .label([]), .label(Array("main".utf8)),
        .label(Array(repeating: 2, count: Geometry.labelBytesMax)), .snapshot(.zero),
        .deadlist(Generation(rawValue: 8), birth: Generation(rawValue: 2)),
        .config(Array("retain".utf8)),
    ]

    @Test(arguments: keys)
    func `a decoded key is the key that was encoded`(_ key: DecodedKey) throws {
        #expect(try decode(key.key.bytes) == key)
    }

    @Test(arguments: keys)
    func `no numeric or entry key may be cut or extended`(_ key: DecodedKey) {
        switch key {
        case .label, .config: return
        default: break
        }
        let bytes = key.key.bytes
        for count in 0..<bytes.count {
            #expect(throws: KeyError.self) { try decode(Array(bytes.prefix(count))) }
        }
        #expect(throws: KeyError.self) { try decode(bytes + [0]) }
    }

    @Test func `each fault has its own error`() {
        #expect(throws: KeyError.empty) { try decode([]) }
        #expect(throws: KeyError.unknownKind(10)) { try decode([10]) }
        #expect(throws: KeyError.tooLong(byteCount: 273)) {
            try decode(Array(repeating: 3, count: 273))
        }
        #expect(throws: KeyError.size(.up, found: 8, expected: 9)) {
            try decode(hex("02 00000000000000"))
        }
        #expect(throws: KeyError.size(.entry, found: 11, expected: 12)) {
            try decode(hex("01 0000000000000000 0000"))
        }
        #expect(throws: KeyError.nameLength(stated: 2, found: 1)) {
            try decode(hex("01 0000000000000000 0002 61 00"))
        }
        #expect(throws: KeyError.terminator) {
            try decode(hex("01 0000000000000000 0001 61 62"))
        }
    }

    @Test func `the entry view lends parent and name of valid entry keys only`() {
        let key = Key.entry(parent: 5, name: "abc".utf8)
        key.withBytes { bytes in
            let view = EntryKeyView(bytes)
            #expect(view?.parent == 5)
            #expect(view.map { Array($0.name) } == Array("abc".utf8))
            #expect(EntryKeyView(UnsafeRawBufferPointer(rebasing: bytes.dropLast())) == nil)
        }
        #expect(Key.up(5).withBytes { EntryKeyView($0) == nil })
        #expect(Key.data(5, offset: 0).withBytes { EntryKeyView($0) == nil })
        #expect(EntryKeyView(UnsafeRawBufferPointer(start: nil, count: 0)) == nil)
    }

    @Test func `random bytes never trap`() {
        var random = SeededRandom()
        for _ in 0..<20_000 {
            let count = Int.random(in: 0...40, using: &random)
            var bytes = random.bytes(count)
            if !bytes.isEmpty { bytes[0] = UInt8.random(in: 0...8, using: &random) }
            if let key = try? decode(bytes) { #expect(key.key.bytes == bytes) }
        }
    }
}
