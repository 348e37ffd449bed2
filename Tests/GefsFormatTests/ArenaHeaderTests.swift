import GefsFormat
import Testing

@Suite struct ArenaHeaderTests {
    let header = ArenaHeader(
        logHead: blockAddress(0xc000), logHash: 0x0102_0304_0506_0708, byteCount: 0xff4000,
        usedBytes: 0x18000)

    private func reason(_ memory: BlockMemory, hash: UInt64? = nil) -> CorruptBlock.Reason? {
        do throws(CorruptBlock) {
            _ = try ArenaHeader(decoding: memory.raw, at: testAddress, hash: hash)
            return nil
        } catch {
            return error.reason
        }
    }

    @Test func `the encoded form is that of the format, with zeros behind`() {
        let memory = BlockMemory()
        let hash = header.encode(into: memory.bytes)
        let expected = hex(
            "0005 000000000000c000 0102030405060708 0000000000ff4000 0000000000018000")
        #expect(memory.array(0..<34) == expected)
        #expect(memory.isZero(34..<16384))
        #expect(hash == MetroHash64.hash(memory.raw))
    }

    @Test func `decoding gives back what was encoded`() throws {
        let memory = BlockMemory()
        let hash = header.encode(into: memory.bytes)
        let decoded = try ArenaHeader(decoding: memory.raw, at: testAddress, hash: hash)
        #expect(decoded == header)
    }

    @Test func `kind, hash, log head and size are checked`() {
        let memory = BlockMemory()
        let hash = header.encode(into: memory.bytes)
        #expect(reason(memory, hash: 1) == .hash(found: hash, expected: 1))
        memory.store(UInt64(0xc001), at: 2)
        #expect(reason(memory) == .logHead(blockAddress(0xc001)))
        memory.store(UInt64(0xc000), at: 2)
        for byteCount: UInt64 in [0, 0x8000, 0xff4001, .max & ~0x3fff] {
            memory.store(byteCount, at: 18)
            #expect(reason(memory) == .arenaBytes(byteCount))
        }
        memory.store(UInt16(3), at: 0)
        #expect(reason(memory) == .kind(found: 3, expected: .arena))
        #expect(reason(BlockMemory(byteCount: 100)) == .blockSize(found: 100))
    }
}
