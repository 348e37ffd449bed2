import GefsFormat
import Testing

@testable import GefsEngine

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Figures, printed when `GEFS_MEASURE` is set. Meant for a release build:
/// `swift test -c release -Xswiftc -enable-testing --filter StoreMeasurements`.
@Suite(.enabled(if: getenv("GEFS_MEASURE") != nil), .serialized)
struct StoreMeasurements {
    private func report(_ what: String, _ count: Int, _ elapsed: Duration) {
        let seconds =
            Double(elapsed.components.attoseconds) / 1e18
            + Double(elapsed.components.seconds)
        print("\(what): \(seconds * 1000) ms, \(seconds * 1e9 / Double(count)) ns each")
    }

    @Test func `open with a log of a million ranges`() throws {
        let blocks = 3_000_000
        let path = "/tmp/gefs-measure-\(getpid())"
        defer { unlink(path) }
        let clock = ContinuousClock()
        let fresh = BareVolume.freshImage(arenaCount: 1, blocks: blocks)
        let memory = MemoryDevice(fresh)
        let superblock = try SuperblockPair(reading: memory).loaded()
        let arenas = try ArenaSet.load(superblock, from: memory, pool: BlockBufferPool())
        let arena = arenas.arenas[0]
        let taken = clock.measure {
            while arena.allocateRun(upTo: 64, useReserve: true) != nil {}
        }
        report("take runs of 64", blocks / 64, taken)
        for index in stride(from: 2, to: blocks - 10, by: 3) {
            try arena.free(BlockRun(start: arena.blockAddress(index), count: index % 2 + 1))
        }
        var commit = ArenaCommit()
        let prepared = try clock.measure {
            commit = try arenas.prepareCommit(barrier: 1, lastDurable: 0)
        }
        report("prepare a commit of a million ranges", blocks / 3, prepared)
        for write in commit.blocks + commit.links {
            try memory.write(at: write.offset, from: write.bytes)
        }
        arenas.didCommit()
        let file = try FileDevice.create(path: path, byteCount: memory.byteCount)
        for write in commit.blocks + commit.links {
            try file.write(at: write.offset, from: write.bytes)
        }
        let header = memory.image.bytes(at: 0, count: 5 * Geometry.blockBytes)
        try header.withUnsafeBytes { try file.write(at: 0, from: $0) }
        var opened = superblock
        opened.commitGeneration = 1
        for round in 0..<3 {
            let loaded = try clock.measure {
                let set = try ArenaSet.load(opened, from: file, pool: BlockBufferPool())
                #expect(set.freeBlocks == arenas.freeBlocks)
            }
            report("open \(round), log of \(arena.log.chain.count) blocks", blocks / 3, loaded)
        }
        let counted = clock.measure { #expect(arena.map.freeRunCount() > 900_000) }
        report("count free ranges", blocks / 3, counted)
        var found = 0
        let aged = clock.measure {
            while let run = arena.allocateRun(upTo: 64, useReserve: false), found < 100_000 {
                found += run.count
            }
        }
        report("take 100000 blocks of an aged map", found, aged)
    }

    @Test func `hits of the cache`() {
        let clock = ContinuousClock()
        for resident in [1000, 60_000] {
            let cache = BlockCache(byteLimit: UInt64(resident * 2 * BlockCache.entryBytes))
            let buffer = BlockBuffer()
            let pointers = (0..<resident).map {
                BlockPointer(
                    address: BlockAddress(rawValue: UInt64($0 * Geometry.blockBytes)), hash: 1,
                    generation: .zero)
            }
            for pointer in pointers { cache.insert(pointer, buffer, as: .node) }
            var chance = SeededGenerator(seed: 1)
            let order = (0..<2_000_000).map { _ in Int.random(in: 0..<resident, using: &chance) }
            var found = 0
            let elapsed = clock.measure {
                for index in order {
                    if let hit = cache.lookup(pointers[index], as: .node) {
                        found += hit.base == buffer.base ? 1 : 0
                    }
                }
            }
            #expect(found == order.count)
            report("hit among \(resident) blocks", found, elapsed)
        }
    }
}
