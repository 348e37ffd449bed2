import GefsFormat
import Testing

@Suite struct KeyTests {
    let qid: UInt64 = 0x0102_0304_0506_0708

    @Test func `a data key is its kind, qid and offset`() {
        let expected = hex("00 0102030405060708 000000000000c000")
        #expect(Key.data(qid, offset: 0xc000).bytes == expected)
        #expect(Key.dataPrefix(qid).bytes == Array(expected.prefix(9)))
    }

    @Test func `an entry key is its kind, parent, name length, name and a zero`() {
        let expected = hex("01 0102030405060708 0003 616263 00")
        #expect(Key.entry(parent: qid, name: "abc".utf8).bytes == expected)
        #expect(Key.entry(parent: qid, name: Array("abc".utf8)).bytes == expected)
        #expect(Key.entryPrefix(qid).bytes == Array(expected.prefix(9)))
    }

    @Test func `the root's entry has no parent and no name`() {
        #expect(Key.entry(parent: .max, name: []).bytes == hex("01 ffffffffffffffff 0000 00"))
    }

    @Test func `the keys with numbers are kind and numbers`() {
        let generation = Generation(rawValue: 7)
        let birth = Generation(rawValue: 3)
        #expect(Key.up(qid).bytes == hex("02 0102030405060708"))
        #expect(Key.snapshot(generation).bytes == hex("04 0000000000000007"))
        #expect(
            Key.deadlist(generation, birth: birth).bytes
                == hex("05 0000000000000007 0000000000000003"))
        #expect(Key.deadlistPrefix(generation).bytes == hex("05 0000000000000007"))
    }

    @Test func `the keys with text are kind and text`() {
        #expect(Key.label("main".utf8).bytes == hex("03 6d61696e"))
        #expect(Key.config("retain".utf8).bytes == hex("06 72657461696e"))
        #expect(Key.label([]).bytes == [3])
        #expect(Key.prefix(.label).bytes == [3])
    }

    @Test func `names sort by length, then bytes`() {
        let names = ["", "a", "b", "z", "aa", "ab", "zz", "aaa"]
        let keys = names.map { Key.entry(parent: 1, name: $0.utf8) }
        #expect(keys.sorted() == keys)
        #expect(keys.shuffled().sorted() == keys)
    }

    @Test func `a name that is too long makes a key, not a trap`() {
        let name = [UInt8](repeating: 0x61, count: 70_000)
        #expect(Key.entry(parent: 1, name: name).bytes.count == 70_012)
    }

    @Test func `bytes are lent, and errors of who borrows come through with their type`() {
        let key = Key(bytes: [1, 2, 3])
        #expect(key.withBytes { $0.count } == 3)
        #expect(throws: KeyError.empty) {
            try key.withBytes { (_) throws(KeyError) -> Int in throw .empty }
        }
        #expect(key.bytes.withUnsafeBytes { Key($0) } == key)
    }
}
