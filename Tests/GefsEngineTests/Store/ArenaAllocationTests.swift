import GefsFormat
import Testing

@testable import GefsEngine

@Suite struct ArenaAllocationTests {
    private func open(arenaCount: Int = 1, blocks: Int) throws -> ArenaSet {
        try BareVolume(BareVolume.freshImage(arenaCount: arenaCount, blocks: blocks)).arenas
    }

    @Test func `data comes from the low end in runs, nodes from the high end`() throws {
        let arenas = try open(blocks: 300)
        let arena = arenas.arenas[0]
        let run = try #require(arenas.allocateRun(upTo: 16))
        #expect(run == BlockRun(start: arena.blockAddress(1), count: 16))
        let next = try #require(arenas.allocateRun(upTo: 16, near: run.start))
        #expect(next.start == run.end)
        #expect(arenas.allocateNode() == arena.blockAddress(297))
        #expect(arenas.allocateNode() == arena.blockAddress(296))
        #expect(arenas.usedBlocks == 300 - arenas.freeBlocks)
        #expect(arenas.usedBlocks == 3 + 34)
    }

    @Test func `freed blocks are taken first`() throws {
        let arenas = try open(blocks: 300)
        let arena = arenas.arenas[0]
        let run = try #require(arenas.allocateRun(upTo: 60))
        let node = try #require(arenas.allocateNode())
        try arenas.free(run[7])
        try arenas.free(node)
        #expect(arenas.allocateRun(upTo: 1)?.start == run[7])
        #expect(arenas.allocateNode() == node)
        #expect(arena.map.freeCount == arena.freeBlocks)
    }

    @Test func `ordinary allocations leave the reserve, all leave the log its blocks`() throws {
        let arenas = try open(blocks: 300)
        #expect(arenas.availableBlocks == 297 - 32)
        var taken = 0
        while let run = arenas.allocateRun(upTo: 64) { taken += run.count }
        #expect(taken == 297 - 32)
        #expect(arenas.allocateNode() == nil)
        while arenas.allocateNode(useReserve: true) != nil { taken += 1 }
        #expect(taken == 297 - Arena.logOnlyBlocks)
        #expect(arenas.allocateRun(upTo: 1, useReserve: true) == nil)
        #expect(arenas.availableBlocks == 0)
    }

    @Test func `what cannot be freed is an error`() throws {
        let arenas = try open(arenaCount: 2, blocks: 100)
        let arena = arenas.arenas[1]
        let node = try #require(arena.allocateNode(useReserve: true))
        try arenas.free(node)
        #expect(throws: StoreError.notAllocated(node)) { try arenas.free(node) }
        #expect(throws: StoreError.usedByLog(arena.log.head)) { try arenas.free(arena.log.head) }
        for address in [
            BlockAddress(rawValue: 0), arena.address, BlockAddress(rawValue: arena.end),
            BlockAddress(rawValue: node.rawValue + 1), .none,
        ] {
            #expect(throws: StoreError.notInArena(address)) { try arenas.free(address) }
        }
    }

    @Test func `an address finds its arena`() throws {
        let arenas = try open(arenaCount: 5, blocks: 50)
        for arena in arenas.arenas {
            #expect(arenas.arena(of: arena.blockAddress(0)) === arena)
            #expect(arenas.arena(of: arena.blockAddress(49)) === arena)
            #expect(arenas.arena(of: arena.address) == nil)
            #expect(arenas.arena(of: arena.footerAddress) == nil)
            #expect(arenas.isFree(arena.blockAddress(0)) == false)
            #expect(arenas.isFree(arena.blockAddress(1)) == true)
        }
        #expect(arenas.arena(of: BlockAddress(rawValue: 0)) == nil)
        #expect(arenas.isFree(BlockAddress(rawValue: 1 << 60)) == nil)
    }

    @Test func `a file's next run comes from the arena of its last one`() throws {
        let arenas = try open(arenaCount: 3, blocks: 400)
        let far = arenas.arenas[2].blockAddress(9)
        let run = try #require(arenas.allocateRun(upTo: 8, near: far))
        #expect(arenas.arena(of: run.start) === arenas.arenas[2])
    }

    @Test func `a volume fills to the last block, arena after arena`() throws {
        let seed = storeTestSeed()
        var chance = SeededGenerator(seed: seed)
        let arenas = try open(arenaCount: 3, blocks: 200)
        let room = arenas.availableBlocks
        var taken: Set<BlockAddress> = []
        while let run = arenas.allocateRun(upTo: Int.random(in: 1...30, using: &chance)) {
            for index in 0..<run.count {
                #expect(taken.insert(run[index]).inserted, "seed \(seed)")
            }
        }
        #expect(taken.count == room)
        #expect(arenas.availableBlocks == 0)
        for address in taken { try arenas.free(address) }
        #expect(arenas.availableBlocks == room)
    }
}
