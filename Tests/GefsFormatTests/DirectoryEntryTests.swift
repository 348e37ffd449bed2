import GefsFormat
import Testing

@Suite struct DirectoryEntryTests {
    let bytes = hex(
        """
        0102030405060708 1112131415161718 21222324 80 800001ed
        3132333435363738 fffffffffffffffe 4142434445464748
        ffffffff 51525354 61626364
        """)

    private func decode(_ bytes: [UInt8]) throws(RecordError) -> DirectoryEntry {
        try Key(bytes: bytes).withBytes { (bytes) throws(RecordError) in
            try DirectoryEntry(decoding: bytes)
        }
    }

    @Test func `the encoded form is 61 bytes in the order of the format`() throws {
        #expect(bytes.count == DirectoryEntry.byteCount)
        let entry = try decode(bytes)
        #expect(entry.flags == 0x0102_0304_0506_0708)
        #expect(entry.qidPath == 0x1112_1314_1516_1718)
        #expect(entry.qidVersion == 0x2122_2324)
        #expect(entry.qidType == 0x80)
        #expect(entry.mode == 0x8000_01ed)
        #expect(entry.accessTime == 0x3132_3334_3536_3738)
        #expect(entry.modificationTime == -2)
        #expect(entry.length == 0x4142_4344_4546_4748)
        #expect(entry.uid == -1)
        #expect(entry.gid == 0x5152_5354)
        #expect(entry.muid == 0x6162_6364)
        #expect(entry.encoded() == bytes)
    }

    @Test func `other sizes and lengths beyond Int64 are refused`() {
        for count in [0, 60, 62] {
            #expect(throws: RecordError.size(found: count, expected: 61)) {
                try decode(Array((bytes + [0]).prefix(count)))
            }
        }
        var long = bytes
        long[41] = 0x80
        #expect(throws: RecordError.fileLength(0x8042_4344_4546_4748)) { try decode(long) }
    }

    @Test func `what POSIX adds lies behind the entry, 16 bytes`() throws {
        var entry = try decode(bytes)
        entry.posix = DirectoryEntry.Posix(changeTime: 0x0102, linkCount: 0x0304)
        let time: [UInt8] = [0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 3, 4]
        let cases: [(attributes: Bool, holes: Bool, traits: UInt8)] = [
            (false, false, 0), (true, false, 1), (false, true, 2), (true, true, 3),
        ]
        for (attributes, holes, traits) in cases {
            entry.posix?.hasAttributes = attributes
            entry.posix?.mayHaveHoles = holes
            #expect(entry.encoded() == bytes + time + [0, 0, 0, traits])
            #expect(try decode(entry.encoded()) == entry)
        }
    }

    @Test func `a new entry takes its qid type from the mode`() {
        let entry = DirectoryEntry(qidPath: 1, mode: 0xe000_01ff, uid: 1, gid: 2, muid: 3)
        #expect(entry.qidType == 0xe0)
        #expect(entry.isDirectory && entry.isAppendOnly && entry.isExclusive)
        let file = DirectoryEntry(qidPath: 1, mode: 0o644, uid: 1, gid: 2, muid: 3)
        #expect(!file.isDirectory && !file.isAppendOnly && !file.isExclusive)
    }
}
