import GefsFormat
import Testing

@Suite struct BlockPointerTests {
    let pointer = BlockPointer(
        address: blockAddress(0x0102_0304_0506_4000), hash: 0x1112_1314_1516_1718,
        generation: Generation(rawValue: 0x2122_2324_2526_2728))

    @Test func `the encoded form is 24 bytes, big endian, address first`() {
        let memory = BlockMemory(byteCount: 25)
        pointer.encode(into: memory.base)
        let expected = hex("0102030405064000 1112131415161718 2122232425262728")
        #expect(BlockPointer.byteCount == 24)
        #expect(memory.array(0..<24) == expected)
        #expect(memory.bytes[24] == 0xee)
    }

    @Test func `decoding gives back what was encoded, at any alignment`() {
        let memory = BlockMemory(byteCount: 40)
        for offset in 0..<8 {
            pointer.encode(into: memory.base + offset)
            #expect(BlockPointer(decoding: memory.base + offset) == pointer)
        }
    }

    @Test func `none is all ones, and only its address makes it so`() {
        let memory = BlockMemory(byteCount: 24)
        BlockPointer.none.encode(into: memory.base)
        #expect(memory.array(0..<24) == Array(repeating: 0xff, count: 24))
        #expect(BlockPointer(address: .none, hash: 0, generation: .zero).isNone)
        #expect(!pointer.isNone)
    }

    @Test func `aligned is a multiple of the block size, and none is not`() {
        #expect(blockAddress(0).isAligned)
        #expect(blockAddress(16384).isAligned)
        #expect(!blockAddress(8192).isAligned)
        #expect(!blockAddress(16385).isAligned)
        #expect(!BlockAddress.none.isAligned)
    }

    @Test func `addresses and generations read well`() {
        #expect(testAddress.description == "0x7f4000")
        #expect(BlockAddress.none.description == "none")
        #expect(Generation(rawValue: 12).description == "12")
        #expect(Generation.none.description == "none")
    }
}
