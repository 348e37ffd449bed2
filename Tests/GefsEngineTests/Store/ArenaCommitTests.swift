import GefsFormat
import Testing

@testable import GefsEngine

/// Commits of random allocations, cut at every write.
@Suite struct ArenaCommitTests {
    /// Random changes of a bare volume, with what every commit should read back as.
    private final class Workload {
        let volume: BareVolume
        var chance: SeededGenerator
        var held: [BlockAddress] = []
        /// Blocks of the last commit that the next one frees, once it is durable.
        var freed: [BlockAddress] = []
        var expected: [UInt64: [Set<Int>]] = [:]

        init(_ volume: BareVolume, seed: UInt64) {
            self.volume = volume
            chance = SeededGenerator(seed: seed)
            expected[volume.superblock.commitGeneration] = freeBlocks(volume.arenas)
        }

        /// Takes and gives back blocks of some arenas; others sit out.
        func change(_ operations: Int) {
            let arenas = volume.arenas.arenas
            let busy = Int.random(in: 1...arenas.count, using: &chance)
            for _ in 0..<operations {
                let arena = arenas[Int.random(in: 0..<busy, using: &chance)]
                switch Int.random(in: 0..<6, using: &chance) {
                case 0, 1:
                    let count = Int.random(in: 1...12, using: &chance)
                    if let run = arena.allocateRun(
                        upTo: count, useReserve: Bool.random(using: &chance))
                    {
                        held += (0..<run.count).map { run[$0] }
                    }
                case 2:
                    if let node = arena.allocateNode(useReserve: true) { held.append(node) }
                default:
                    guard !held.isEmpty else { continue }
                    for _ in 0..<2 where !held.isEmpty {
                        let index = Int.random(in: 0..<held.count, using: &chance)
                        freed.append(held.remove(at: index))
                    }
                }
            }
        }

        func commit(durable: () throws -> Void = {}) throws {
            let number = max(volume.superblock.commitGeneration, volume.arenas.highestBarrier) + 1
            let frees = freed
            freed = []
            try volume.commit(
                frees: frees,
                prepared: { self.expected[number] = freeBlocks(self.volume.arenas) },
                durable: durable)
        }

        /// Opens what a crash left, and compares it with the commit it should be.
        func check(_ image: MemoryImage, atLeast: UInt64, _ context: String) throws -> UInt64 {
            let (qgen, free) = try BareVolume.peek(image)
            #expect(qgen >= atLeast, "\(context)")
            #expect(free == expected[qgen], "\(context) qgen \(qgen)")
            return qgen
        }
    }

    @Test func `many commits replay to the same map`() throws {
        let seed = storeTestSeed()
        let volume = try BareVolume(BareVolume.freshImage(arenaCount: 3, blocks: 400))
        let work = Workload(volume, seed: seed)
        for round in 0..<300 {
            work.change(Int.random(in: 0...25, using: &work.chance))
            try work.commit()
            let image = volume.device.image()
            let number = volume.superblock.commitGeneration
            _ = try work.check(image, atLeast: number, "seed \(seed) round \(round)")
            if round % 10 == 0 { try volume.device.startRecording() }
            for arena in volume.arenas.arenas {
                arena.map.checkInvariants()
                #expect(arena.freeBlocks == arena.map.freeCount)
            }
        }
        #expect(volume.compressions > 0)
        #expect(volume.extraFlushes == 0)
        // The oldest log is not longer than compression lets it be.
        #expect(volume.arenas.arenas.allSatisfy { $0.log.chain.count <= 40 })
    }

    @Test func `a crash at any point of a commit leaves the old or the new map`() throws {
        let seed = storeTestSeed()
        let volume = try BareVolume(BareVolume.freshImage(arenaCount: 3, blocks: 300))
        let work = Workload(volume, seed: seed)
        var outcomes: [UInt64: Int] = [:]
        for round in 0..<120 {
            work.change(round % 7 == 0 ? 60 : Int.random(in: 0...8, using: &work.chance))
            let before = volume.superblock.commitGeneration
            try work.commit {
                // From the end of the last commit up to here, cut after every event.
                let count = volume.device.events.count
                for cut in 0...count {
                    for attempt in 0..<4 {
                        let image =
                            attempt == 0
                            ? volume.device.image(after: cut)
                            : volume.device.crashImage(after: cut, seed: seed &+ UInt64(attempt))
                        let found = try work.check(
                            image, atLeast: cut == count ? before + 1 : before,
                            "seed \(seed) round \(round) cut \(cut) of \(count) attempt \(attempt)")
                        outcomes[found - before, default: 0] += 1
                    }
                }
                try volume.device.startRecording()
            }
        }
        #expect(volume.compressions > 0)
        #expect(Set(outcomes.keys) == [0, 1])
    }

    @Test func `two crashes in a row, with a commit in between, lose nothing`() throws {
        let seed = storeTestSeed()
        var chance = SeededGenerator(seed: seed)
        var image = BareVolume.freshImage(arenaCount: 3, blocks: 300)
        for round in 0..<150 {
            let volume = try BareVolume(image)
            let work = Workload(volume, seed: chance.next())
            // What the crashed instance held is not known here; blocks in use stay in use.
            let commits = Int.random(in: 0...2, using: &chance)
            for _ in 0..<commits {
                work.change(Int.random(in: 0...20, using: &chance))
                try work.commit()
            }
            let acknowledged = volume.superblock.commitGeneration
            work.change(Int.random(in: 0...20, using: &chance))
            let mark = volume.device.events.count
            try work.commit()
            let cut = Int.random(in: mark...volume.device.events.count, using: &chance)
            image = volume.device.crashImage(after: cut, seed: chance.next())
            let found = try work.check(
                image, atLeast: acknowledged, "seed \(seed) round \(round) cut \(cut)")
            #expect(found <= acknowledged + 1)
        }
    }

    @Test func `no write of a commit touches a block that the last commit uses`() throws {
        let seed = storeTestSeed()
        let volume = try BareVolume(BareVolume.freshImage(arenaCount: 2, blocks: 300))
        let work = Workload(volume, seed: seed)
        for _ in 0..<150 {
            work.change(Int.random(in: 0...30, using: &work.chance))
            let held = Set(work.held.map(\.rawValue) + work.freed.map(\.rawValue))
            let logs = volume.arenas.arenas.map(\.log)
            try volume.device.startRecording()
            try work.commit()
            for case .write(let offset, let bytes) in volume.device.events {
                #expect(!held.contains(offset), "seed \(seed)")
                for log in logs where log.members.contains(BlockAddress(rawValue: offset)) {
                    // The last block's first sector only, with every committed entry kept.
                    #expect(offset == log.tail.rawValue && bytes.count == 512)
                    #expect(
                        bytes[36..<36 + min(476, log.tailBytes)]
                            == log.tailSector[36..<36 + min(476, log.tailBytes)])
                }
            }
        }
    }

    @Test func `a small change is one sector per arena`() throws {
        let volume = try BareVolume(BareVolume.freshImage(arenaCount: 4, blocks: 200))
        for _ in 0..<5 {
            let taken = volume.arenas.arenas[1].allocateNode(useReserve: false)
            #expect(taken != nil)
            let commit = try volume.arenas.prepareCommit(
                barrier: volume.arenas.highestBarrier + 1,
                lastDurable: volume.arenas.highestBarrier)
            #expect(commit.blocks.isEmpty && commit.headers.isEmpty)
            #expect(commit.links.map(\.byteCount) == [512])
            volume.arenas.didCommit()
        }
    }

    @Test func `a block taken and given back between two commits costs nothing`() throws {
        let volume = try BareVolume(BareVolume.freshImage(arenaCount: 1, blocks: 200))
        let run = try #require(volume.arenas.allocateRun(upTo: 20))
        for index in 0..<run.count { try volume.arenas.free(run[index]) }
        let commit = try volume.arenas.prepareCommit(barrier: 1, lastDurable: 0)
        #expect(commit.links.isEmpty && commit.blocks.isEmpty)
    }

    @Test func `a foreign log that sat out commits is linked after a flush`() throws {
        // Its last block has no room in the first sector, and it ends in an old barrier.
        var image = BareVolume.freshImage(arenaCount: 2, blocks: 200)
        var superblock = try SuperblockPair(reading: MemoryDevice(image)).loaded()
        superblock.commitGeneration = 50
        let first = UInt64(3) * 16384
        let buffer = BlockBuffer()
        var builder = ChainBlockBuilder(block: buffer.base)
        var isWritten = builder.append(
            .free(BlockAddress(rawValue: first), byteCount: 198 * 16384))
        for index in 0..<100 {
            isWritten =
                builder.append(
                    .allocate(
                        BlockAddress(rawValue: first + UInt64(index) * 16384), byteCount: 16384))
                && isWritten
        }
        isWritten = builder.append(.sync(40)) && isWritten
        #expect(isWritten)
        builder.finish(kind: .allocationLog)
        image.write(buffer.bytes, at: first)
        superblock.encode(into: buffer.mutableBytes)
        image.write(buffer.bytes, at: 0)
        image.write(
            buffer.bytes, at: DeviceLayout.backupSuperblock(deviceBytes: image.byteCount))

        let volume = try BareVolume(image)
        try volume.device.startRecording()
        let work = Workload(volume, seed: 1)
        let node = volume.arenas.arenas[0].allocateNode(useReserve: true)
        #expect(node != nil)
        try work.commit()
        #expect(volume.extraFlushes == 1)
        let old = work.expected[50]
        let log = volume.arenas.arenas[0].log
        let fresh = volume.arenas.arenas[0].blockIndex(log.tail)
        for cut in 0...volume.device.events.count {
            for seed in 0..<6 {
                let (qgen, free) = try BareVolume.peek(
                    volume.device.crashImage(after: cut, seed: UInt64(seed)))
                if qgen == 51 {
                    #expect(free == work.expected[51])
                } else {
                    // Linked or not; if linked, the fresh block is known as used.
                    let linked = old.map { [$0[0].subtracting([fresh]), $0[1]] }
                    #expect(free == old || free == linked)
                }
            }
        }
    }

    @Test func `a foreign log whose barrier is fresh gets a better end while that is cheap`() throws
    {
        guard let image = referenceImage("b-populated") else { return }
        let volume = try BareVolume(image)
        let work = Workload(volume, seed: 2)
        try work.commit()
        #expect(volume.extraFlushes == 0)
        let loggers = volume.arenas.arenas.filter { $0.log.lastBarrier != nil }
        #expect(loggers.allSatisfy { $0.log.fitsBarrier })
        for _ in 0..<10 {
            work.change(20)
            try work.commit()
        }
        #expect(volume.extraFlushes == 0)
        _ = try work.check(
            volume.device.image(),
            atLeast: volume.superblock.commitGeneration, "b-populated")
    }

    @Test(arguments: ["a-fresh", "c-snapshots", "N-d-killed"])
    func `the oracle finds nothing wrong with our logs on the original's disks`(
        name: String
    ) throws {
        guard let image = referenceImage(name) else { return }
        let volume = try BareVolume(image)
        let work = Workload(volume, seed: 4)
        for _ in 0..<60 {
            for _ in 0..<30 { work.change(2) }
            try work.commit()
        }
        #expect(volume.compressions > 0)
        // Give back everything, so that the trees and the map agree again.
        work.freed += work.held
        work.held = []
        try work.commit()
        try work.commit()
        try volume.finish()
        let before = try oracleFindings(image)
        let after = try oracleFindings(volume.device.image())
        #expect(before == after)
        #expect(after?.last?.contains(" 0 errors") != false)
    }

    @Test func `a barrier that is not above all others is refused`() throws {
        let volume = try BareVolume(BareVolume.freshImage(arenaCount: 1, blocks: 100))
        #expect(throws: StoreError.barrierNotNewer(arena: 0, barrier: 0, last: 0)) {
            try volume.arenas.prepareCommit(barrier: 0, lastDurable: 0)
        }
    }

    @Test func `a full arena can still commit`() throws {
        let volume = try BareVolume(BareVolume.freshImage(arenaCount: 1, blocks: 200))
        let work = Workload(volume, seed: 3)
        while let run = volume.arenas.allocateRun(upTo: 7, useReserve: true) {
            work.held += (0..<run.count).map { run[$0] }
        }
        #expect(volume.arenas.freeBlocks == Arena.logOnlyBlocks)
        try work.commit()
        // Freeing every other block makes the longest entries; each commit needs room for them.
        for round in 0..<3 {
            work.freed = work.held.enumerated().filter { $0.offset % 2 == 0 }.map(\.element)
            work.held = work.held.enumerated().filter { $0.offset % 2 == 1 }.map(\.element)
            try work.commit()
            try work.commit()
            _ = try work.check(
                volume.device.image(),
                atLeast: volume.superblock.commitGeneration, "round \(round)")
        }
    }
}
