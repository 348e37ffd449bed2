import Testing

@testable import GefsFormat

/// What blocks of logs and deadlists say about themselves in a field that has no meaning.
@Suite struct ChainTagTests {
    private static let place = BlockAddress(rawValue: 0x40000)
    private static let next = BlockAddress(rawValue: 0x8000)

    private func block(sealed: Bool = true) -> [UInt8] {
        var block = [UInt8](repeating: 0, count: Geometry.blockBytes)
        block.withUnsafeMutableBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            var builder = ChainBlockBuilder(block: base)
            for index in 0..<5 as Range<UInt64> {
                _ = builder.append(BlockAddress(rawValue: index << 14))
            }
            builder.finish(
                kind: .deadlist,
                next: BlockPointer(address: Self.next, hash: 0, generation: .zero))
            if sealed { ChainBlockBuilder.seal(base, at: Self.place) }
        }
        return block
    }

    private func fault(_ block: [UInt8], at address: BlockAddress = place) -> CorruptBlock.Reason? {
        block.withUnsafeBytes { bytes in
            do throws(CorruptBlock) {
                _ = try ChainBlockView(checking: bytes, at: address, expecting: .deadlist)
                return nil
            } catch {
                return error.reason
            }
        }
    }

    @Test func `a block where it belongs is good`() {
        #expect(fault(block()) == nil)
    }

    @Test func `a block of ours in another place is noticed`() {
        #expect(fault(block(), at: BlockAddress(rawValue: 0x44000)) == .misplaced(Self.place))
    }

    @Test func `every changed bit of a link is noticed`() {
        for bit in 0..<64 {
            var block = block()
            block[12 + bit / 8] ^= 1 << UInt8(bit % 8)
            let found = BlockAddress(
                rawValue: Self.next.rawValue ^ 1 << UInt64(63 - bit / 8 * 8 - 7 + bit % 8))
            #expect(fault(block) == .link(found: found, expected: Self.next), "bit \(bit)")
        }
    }

    @Test func `a changed bit of the field itself is of no consequence`() {
        for bit in 0..<64 {
            var block = block()
            block[20 + bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(fault(block) == nil, "bit \(bit)")
        }
    }

    @Test func `blocks of the original are taken wherever they lie`() {
        for field: UInt64 in [0, .max, 0x1234_5678_9abc_def0] {
            var block = block(sealed: false)
            block.withUnsafeMutableBytes { $0.baseAddress?.storeBigEndian(field, at: 20) }
            #expect(fault(block, at: BlockAddress(rawValue: 0x44000)) == nil)
        }
    }
}
