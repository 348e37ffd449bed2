import GefsFormat
import Testing

/// Damages valid nodes at random: whatever the check lets pass must be readable to the last byte
/// within the block.
@Suite struct NodeMutationTests {
    private func randomLeaf(_ random: inout SeededRandom, _ memory: BlockMemory) {
        var builder = LeafBuilder(block: memory.base)
        let count = UInt64.random(in: 1...80, using: &random)
        for qid in 0..<count { builder.append(.data(qid, offset: 0), random.bytes(24)) }
        for qid in 0..<count {
            builder.append(.up(qid), Key.entry(parent: qid, name: random.bytes(5)).bytes)
        }
        builder.finish()
    }

    private func randomPivot(_ random: inout SeededRandom, _ memory: BlockMemory) {
        var builder = PivotBuilder(block: memory.base)
        for qid in 0..<UInt64.random(in: 1...60, using: &random) {
            builder.appendChild(.data(qid, offset: 0), at: qid << 14)
            builder.append(.insert, .data(qid, offset: 0), random.bytes(24))
            builder.append(.clearb, .data(qid, offset: 0))
        }
        builder.append(.wstat, .entry(parent: 1, name: [0x61]), [0x10, 0, 0, 0, 1])
        builder.finish()
    }

    /// Whether all records lie in the block and the orders hold.
    private func isReadable(_ memory: BlockMemory, _ kind: BlockKind) -> Bool {
        let first = UnsafeRawPointer(memory.base)
        let end = first + Geometry.blockBytes
        func isInside(_ bytes: UnsafeRawBufferPointer) -> Bool {
            guard let base = bytes.baseAddress else { return false }
            return base >= first && base + bytes.count <= end
        }
        if kind == .leaf {
            let view = LeafView(unchecked: memory.base)
            return (0..<view.count).allSatisfy {
                isInside(view.key($0)) && isInside(view.value($0))
                    && view.search(view.key($0)) == (index: $0, found: true)
            }
        }
        let view = PivotView(unchecked: memory.base)
        let childrenAreReadable = (0..<view.childCount).allSatisfy {
            isInside(view.key($0)) && view.pointer($0).address.isAligned
                && view.childIndex(for: view.key($0)) == $0
        }
        return childrenAreReadable
            && (0..<view.messageCount).allSatisfy {
                isInside(view.message($0).key) && isInside(view.message($0).payload)
                    && view.firstMessage(notBelow: view.messageKey($0)) <= $0
            }
    }

    @Test func `no damage makes views read outside`() {
        var random = SeededRandom()
        let memory = BlockMemory()
        var passed = 0
        for round in 0..<6000 {
            if round % 2 == 0 { randomLeaf(&random, memory) } else { randomPivot(&random, memory) }
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                // Headers, tables and records alike, the first ones more often.
                let areas = [0..<16, 0..<200, 8190..<8300, 15000..<16384, 0..<16384]
                let area = areas[Int.random(in: 0..<areas.count, using: &random)]
                let place = Int.random(in: area, using: &random)
                if Bool.random(using: &random) {
                    memory.bytes[place] = UInt8.random(in: 0...255, using: &random)
                } else {
                    memory.bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                }
            }
            guard let kind = try? NodeCheck.check(memory.raw, at: testAddress) else { continue }
            passed += 1
            #expect(isReadable(memory, kind))
        }
        #expect(passed > 0)
    }

    @Test func `random bytes behind a node's kind never trap`() {
        var random = SeededRandom()
        let memory = BlockMemory()
        for _ in 0..<2000 {
            for place in 0..<300 {
                memory.bytes[place] = UInt8.random(in: 0...255, using: &random)
            }
            memory.store(UInt16.random(in: 1...2, using: &random), at: 0)
            memory.store(UInt16.random(in: 0...20, using: &random), at: 2)
            if let kind = try? NodeCheck.check(memory.raw, at: testAddress) {
                #expect(isReadable(memory, kind))
            }
        }
    }
}
