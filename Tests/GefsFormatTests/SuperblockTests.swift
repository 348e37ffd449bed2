import GefsFormat
import Testing

@Suite struct SuperblockTests {
    let superblock = Superblock(
        snapshotTreeHeight: 2,
        snapshotTreeRoot: BlockPointer(
            address: blockAddress(0xfec000), hash: 0x0102_0304_0506_0708, generation: .zero),
        pendingHead: BlockPointer(address: blockAddress(0x8000), hash: 5, generation: .zero),
        pendingTail: BlockPointer(address: blockAddress(0xc000), hash: 6, generation: .zero),
        nextQid: 7, nextGeneration: Generation(rawValue: 8), commitGeneration: 9,
        arenas: [
            .init(address: blockAddress(0x4000), hash: 10),
            .init(address: blockAddress(0x1_0000), hash: 11),
        ])

    private func encoded(_ superblock: Superblock) -> BlockMemory {
        let memory = BlockMemory()
        superblock.encode(into: memory.bytes)
        return memory
    }

    private func decode(_ memory: BlockMemory) throws(CorruptBlock) -> Superblock {
        try Superblock(decoding: memory.raw, at: testAddress)
    }

    /// The error for a superblock whose hash is right but which was changed by `change`.
    private func reason(_ change: (inout Superblock) -> Void) -> CorruptBlock.Reason? {
        var changed = superblock
        change(&changed)
        return reason(for: encoded(changed))
    }

    private func reason(for memory: BlockMemory) -> CorruptBlock.Reason? {
        do throws(CorruptBlock) {
            _ = try decode(memory)
            return nil
        } catch {
            #expect(error.address == testAddress)
            return error.reason
        }
    }

    /// Stores a field and corrects the hash behind the two arenas.
    private func reason<T: FixedWidthInteger & BitwiseCopyable>(
        storing value: T, at offset: Int
    ) -> CorruptBlock.Reason? {
        let memory = encoded(superblock)
        memory.store(value, at: offset)
        memory.store(
            MetroHash64.hash(UnsafeRawBufferPointer(rebasing: memory.raw[..<136])), at: 136)
        return reason(for: memory)
    }

    @Test func `the encoded form is that of the format, with zeros behind`() {
        let memory = encoded(superblock)
        let expected = hex(
            """
            676566 73392e3030 00004000 00001ffb 00000002 00000002
            0000000000fec000 0102030405060708
            0000000000008000 0000000000000005 000000000000c000 0000000000000006
            0000000000000000 0000000000000007 0000000000000008 0000000000000009
            0000000000004000 000000000000000a 0000000000010000 000000000000000b
            """)
        #expect(memory.array(0..<136) == expected)
        #expect(
            memory.load(136, as: UInt64.self) == expected.withUnsafeBytes { MetroHash64.hash($0) })
        #expect(memory.isZero(144..<16384))
    }

    @Test func `decoding gives back what was encoded`() throws {
        #expect(try decode(encoded(superblock)) == superblock)
        var full = superblock
        full.pendingHead = .none
        full.pendingTail = .none
        full.arenas = (1...255).map {
            .init(address: blockAddress(UInt64($0) << 30), hash: UInt64($0))
        }
        #expect(try decode(encoded(full)) == full)
    }

    @Test func `an absent pending list is NIL in all four fields`() {
        var superblock = superblock
        superblock.pendingHead = .none
        superblock.pendingTail = .none
        #expect(encoded(superblock).array(40..<72) == Array(repeating: 0xff, count: 32))
    }

    @Test func `each byte up to the hash is guarded`() {
        for offset in 0..<144 {
            let memory = encoded(superblock)
            memory.bytes[offset] ^= 0x10
            switch (offset, reason(for: memory)) {
            case (0..<8, .magic), (16..<20, .arenaCount), (_, .hash): break
            case (_, let reason): Issue.record("byte \(offset): \(String(describing: reason))")
            }
        }
    }

    @Test func `impossible fields are told apart although the hash is right`() {
        #expect(reason(storing: UInt32(8192), at: 8) == .superblockBlockBytes(8192))
        #expect(reason(storing: UInt32(8000), at: 12) == .superblockBufferBytes(8000))
        #expect(reason(storing: UInt32(0), at: 16) == .arenaCount(0))
        #expect(reason(storing: UInt32(256), at: 16) == .arenaCount(256))
        #expect(reason(storing: UInt32.max, at: 16) == .arenaCount(.max))
        #expect(reason { $0.snapshotTreeHeight = 0 } == .treeHeight(0))
        #expect(reason { $0.snapshotTreeHeight = 65 } == .treeHeight(65))
        #expect(reason { $0.commitGeneration = 1 << 55 } == .commitGeneration(1 << 55))
        #expect(
            reason { $0.nextGeneration = Generation(rawValue: 1 << 63) } == .nextGeneration(1 << 63)
        )
        #expect(reason { $0.features = FormatFeatures(rawValue: 4) } == .featureFlags(4))
        #expect(reason { $0.snapshotTreeRoot.address = .none } == .rootAddress(.none))
        #expect(
            reason { $0.pendingTail = .none }
                == .pendingList(head: blockAddress(0x8000), tail: .none))
        #expect(
            reason { $0.arenas.swapAt(0, 1) }
                == .arenaAddress(index: 1, blockAddress(0x4000)))
        #expect(
            reason { $0.arenas[0].address = blockAddress(0) }
                == .arenaAddress(index: 0, blockAddress(0)))
    }

    @Test func `a piece of a block is none`() {
        let memory = BlockMemory(byteCount: 512)
        #expect(reason(for: memory) == .blockSize(found: 512))
    }
}
