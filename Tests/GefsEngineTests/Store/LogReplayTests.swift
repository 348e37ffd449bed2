import GefsFormat
import Testing

@testable import GefsEngine

/// Logs written by hand, in an arena of 100 blocks.
@Suite struct LogReplayTests {
    private static let blockBytes = UInt64(Geometry.blockBytes)
    private static let blocks = 100
    private static let start = 3 * blockBytes

    /// A one-arena volume whose log is made of `chain`: block index and entries of each.
    fileprivate struct Disk {
        var image: MemoryImage
        var superblock: Superblock

        init(head: Int, qgen: UInt64) throws {
            image = BareVolume.freshImage(arenaCount: 1, blocks: LogReplayTests.blocks)
            let header = ArenaHeader(
                logHead: LogReplayTests.block(head), logHash: 0,
                byteCount: UInt64(LogReplayTests.blocks) * LogReplayTests.blockBytes, usedBytes: 0)
            let buffer = BlockBuffer()
            let hash = header.encode(into: buffer.mutableBytes)
            image.write(buffer.bytes, at: LogReplayTests.blockBytes)
            image.write(buffer.bytes, at: 2 * LogReplayTests.blockBytes)
            superblock = try SuperblockPair(reading: MemoryDevice(image)).loaded()
            superblock.commitGeneration = qgen
            superblock.arenas[0].hash = hash
        }

        mutating func log(_ index: Int, _ entries: [LogEntry], next: Int? = nil) {
            let buffer = BlockBuffer()
            var builder = ChainBlockBuilder(block: buffer.base)
            for entry in entries { _ = builder.append(entry) }
            builder.finish(
                kind: .allocationLog,
                next: next.map {
                    BlockPointer(
                        address: LogReplayTests.block($0), hash: 0, generation: .zero)
                } ?? .none)
            image.write(buffer.bytes, at: LogReplayTests.block(index).rawValue)
        }

        func load() throws -> ArenaSet {
            try ArenaSet.load(
                superblock, from: MemoryDevice(image), pool: BlockBufferPool())
        }
    }

    private static func block(_ index: Int) -> BlockAddress {
        BlockAddress(rawValue: start + UInt64(index) * blockBytes)
    }

    private static func free(_ index: Int, _ count: Int = 1) -> LogEntry {
        .free(block(index), byteCount: UInt64(count) * blockBytes)
    }

    private static func take(_ index: Int, _ count: Int = 1) -> LogEntry {
        .allocate(block(index), byteCount: UInt64(count) * blockBytes)
    }

    private let base = [free(0, 98), take(0)]

    @Test func `entries apply in order along the chain`() throws {
        var disk = try Disk(head: 0, qgen: 5)
        disk.log(0, base + [Self.take(1), Self.take(10, 5)], next: 1)
        disk.log(1, [Self.free(12), .sync(5)])
        let arenas = try disk.load()
        #expect(freeBlocks(arenas) == [Set(2..<98).subtracting([10, 11, 13, 14])])
        #expect(arenas.arenas[0].log.chain == [Self.block(0), Self.block(1)])
        #expect(arenas.arenas[0].log.lastBarrier == 5)
        #expect(arenas.repairsAtOpen().isEmpty)
        #expect(arenas.usedBlocks == 8)
    }

    @Test func `replay stops at the first barrier that is not below the superblock's`() throws {
        var disk = try Disk(head: 0, qgen: 5)
        disk.log(
            0, base + [.sync(4), Self.take(1), .sync(7), Self.take(2), .sync(5)], next: 50)
        let arenas = try disk.load()
        #expect(freeBlocks(arenas) == [Set(2..<98)])
        #expect(arenas.highestBarrier == 4)
        #expect(arenas.arenas[0].log.needsCut)
    }

    /// The next commit took a number above it, which no superblock may have: it could not be read
    /// again, and the one before was taken for the last.
    @Test func `a barrier of the future is cut at open`() throws {
        var disk = try Disk(head: 0, qgen: 5)
        disk.log(0, base + [.sync(4), Self.take(1), .sync(1 << 55)])
        let volume = try BareVolume(disk.encoded())
        #expect(volume.arenas.highestBarrier == 4)
        disk.image = volume.device.image()
        let arenas = try disk.load()
        #expect(freeBlocks(arenas) == [Set(2..<98)])
        #expect(arenas.repairsAtOpen().isEmpty)
    }

    @Test func `what lies behind the barrier is cut at open, in the first sector`() throws {
        var disk = try Disk(head: 0, qgen: 5)
        disk.log(0, base + [.sync(5), Self.take(2), .sync(6)], next: 50)
        let volume = try BareVolume(disk.encoded())
        let writes = volume.device.events.compactMap { event -> (UInt64, Int)? in
            guard case .write(let offset, let bytes) = event else { return nil }
            return (offset, bytes.count)
        }
        #expect(writes.contains { $0 == (Self.block(0).rawValue, 512) })
        // Seen by a later commit, which that arena sits out, the rest is gone.
        disk.image = volume.device.image()
        disk.superblock.commitGeneration = 9
        let arenas = try disk.load()
        #expect(freeBlocks(arenas) == [Set(1..<98)])
        #expect(arenas.repairsAtOpen().isEmpty)
    }

    @Test func `a chain field that leads nowhere is ignored behind the barrier only`() throws {
        var disk = try Disk(head: 0, qgen: 5)
        disk.log(0, base + [.sync(5)], next: 5000)
        #expect(try disk.load().arenas[0].log.needsCut)
        disk.superblock.commitGeneration = 6
        #expect(throws: StoreError.logOutside(arena: 0, address: Self.block(5000))) {
            try disk.load()
        }
    }

    @Test func `a log that loops is an error`() throws {
        var disk = try Disk(head: 0, qgen: 5)
        disk.log(0, base + [Self.take(1)], next: 1)
        disk.log(1, [], next: 0)
        #expect(throws: StoreError.logLoop(arena: 0, address: Self.block(0))) { try disk.load() }
    }

    @Test func `entries that contradict those before are errors`() throws {
        for entry in [Self.take(0), Self.free(5), Self.free(0, 2), Self.take(90, 9)] {
            var disk = try Disk(head: 0, qgen: 5)
            disk.log(0, base + [entry])
            #expect(
                throws: StoreError.logContradiction(
                    arena: 0, address: Self.block(0), entry: entry)
            ) { try disk.load() }
        }
    }

    @Test func `entries outside of the arena are errors`() throws {
        for entry in [
            Self.take(100), Self.take(99, 2), .allocate(.init(rawValue: 0), byteCount: 16384),
            .free(Self.block(3), byteCount: UInt64.max / 2 + 1),
        ] {
            var disk = try Disk(head: 0, qgen: 5)
            disk.log(0, base + [entry])
            #expect(
                throws: StoreError.logEntryOutside(
                    arena: 0, address: Self.block(0), entry: entry)
            ) { try disk.load() }
        }
    }

    @Test func `a log block that its log calls free is an error`() throws {
        var disk = try Disk(head: 0, qgen: 5)
        disk.log(0, base, next: 20)
        disk.log(20, [.sync(5)])
        #expect(throws: StoreError.logBlockFree(arena: 0, address: Self.block(20))) {
            try disk.load()
        }
    }

    @Test func `a damaged log block is named`() throws {
        var disk = try Disk(head: 0, qgen: 5)
        disk.log(0, base + [.sync(5)])
        [UInt8](repeating: 0xff, count: 1).withUnsafeBytes {
            disk.image.write($0, at: Self.block(0).rawValue + 40)
        }
        do {
            _ = try disk.load()
            Issue.record("the log was accepted")
        } catch StoreError.corrupt(let error) {
            #expect(error.address == Self.block(0))
        }
    }

    @Test func `either copy of the header will do, and the other one is repaired`() throws {
        for bad in [1, 2] {
            var disk = try Disk(head: 0, qgen: 5)
            disk.log(0, base + [.sync(5)])
            [UInt8](repeating: 0xff, count: 8).withUnsafeBytes {
                disk.image.write($0, at: UInt64(bad) * Self.blockBytes + 100)
            }
            let volume = try BareVolume(disk.encoded())
            disk.image = volume.device.image()
            let header = disk.image.bytes(at: Self.blockBytes, count: 16384)
            #expect(header == disk.image.bytes(at: 2 * Self.blockBytes, count: 16384))
            #expect(try disk.load().repairsAtOpen().isEmpty)
        }
        var disk = try Disk(head: 0, qgen: 5)
        disk.superblock.arenas[0].hash ^= 1
        #expect(throws: StoreError.self) { try disk.load() }
    }

}

extension LogReplayTests.Disk {
    /// The image with the superblock in both places.
    fileprivate func encoded() -> MemoryImage {
        var copy = image
        let block = BlockBuffer()
        superblock.encode(into: block.mutableBytes)
        copy.write(block.bytes, at: 0)
        copy.write(block.bytes, at: DeviceLayout.backupSuperblock(deviceBytes: image.byteCount))
        return copy
    }
}
