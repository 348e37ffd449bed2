import GefsFormat
import Testing

@testable import GefsEngine

@Suite struct BlockCacheTests {
    private func pointer(_ block: Int, hash: UInt64 = 7) -> BlockPointer {
        BlockPointer(
            address: BlockAddress(rawValue: UInt64(block) * UInt64(Geometry.blockBytes)),
            hash: hash, generation: .zero)
    }

    @Test func `a block is found under its address, hash and role only`() {
        let cache = BlockCache(byteLimit: 1 << 20)
        let buffer = BlockBuffer()
        cache.insert(pointer(1), buffer, as: .data)
        #expect(cache.lookup(pointer(1), as: .data) === buffer)
        #expect(cache.lookup(pointer(1, hash: 8), as: .data) == nil)
        #expect(cache.lookup(pointer(1), as: .node) == nil)
        #expect(cache.lookup(pointer(2), as: .data) == nil)
        let newer = BlockBuffer()
        cache.insert(pointer(1, hash: 8), newer, as: .node)
        #expect(cache.lookup(pointer(1), as: .data) == nil)
        #expect(cache.lookup(pointer(1, hash: 8), as: .node) === newer)
        #expect(cache.statistics.blocks == 1)
        cache.remove(pointer(1).address)
        #expect(cache.lookup(pointer(1, hash: 8), as: .node) == nil)
        cache.remove(pointer(1).address)
        #expect(cache.statistics.blocks == 0)
    }

    @Test func `every small capacity keeps its bound and finds only what was put in`() {
        let seed = storeTestSeed()
        for capacity in 1...40 {
            var chance = SeededGenerator(seed: seed &+ UInt64(capacity))
            var shard = CacheShard(capacity: capacity)
            var latest: [Int: (hash: UInt64, buffer: BlockBuffer)] = [:]
            for _ in 0..<400 {
                let block = Int.random(in: 0..<capacity * 3, using: &chance)
                let address = pointer(block).address
                let mixed = CacheShard.mix(address)
                switch Int.random(in: 0..<8, using: &chance) {
                case 0:
                    _ = shard.remove(address, mixed: mixed)
                    latest[block] = nil
                case 1, 2, 3:
                    let buffer = BlockBuffer()
                    let hash = UInt64.random(in: 0..<2, using: &chance)
                    _ = shard.insert(
                        address, mixed: mixed, hash: hash, role: .data, buffer: buffer)
                    latest[block] = (hash, buffer)
                    let found = shard.lookup(address, mixed: mixed, hash: hash, role: .data)
                    #expect(found === buffer, "seed \(seed) capacity \(capacity)")
                default:
                    let hash = latest[block]?.hash ?? 0
                    if let found = shard.lookup(address, mixed: mixed, hash: hash, role: .data) {
                        #expect(found === latest[block]?.buffer, "seed \(seed)")
                    }
                }
                let count = shard.statistics.blocks
                #expect(count <= capacity, "seed \(seed)")
            }
        }
    }

    @Test func `a scan does not push out what is used again and again`() {
        let cache = BlockCache(byteLimit: UInt64(BlockCache.entryBytes * 100))
        for round in 0..<3 {
            for block in 0..<40 where cache.lookup(pointer(block), as: .node) == nil {
                #expect(round == 0)
                cache.insert(pointer(block), BlockBuffer(), as: .node)
            }
        }
        for block in 1000..<3000 { cache.insert(pointer(block), BlockBuffer(), as: .data) }
        let kept = (0..<40).filter { cache.lookup(pointer($0), as: .node) != nil }
        #expect(kept.count == 40)
        #expect(cache.statistics.blocks <= 100)
    }

    @Test func `evicted buffers are given back`() {
        let pool = BlockBufferPool(idleBytesMax: 8 * Geometry.blockBytes)
        let cache = BlockCache(byteLimit: UInt64(BlockCache.entryBytes * 32))
        for block in 0..<1000 { cache.insert(pointer(block), pool.make(), as: .data) }
        let idle = pool.idleCounts
        // One mapping of 256 blocks is enough, and few of the idle ones keep their memory.
        #expect(idle.warm + idle.cold == 256 - 32)
        #expect(idle.warm <= 8)
        pool.giveBackIdle()
        #expect(pool.idleCounts.warm == 0 && pool.idleCounts.cold == 256 - 32)
        // They can be used as before.
        let again = (0..<40).map { _ in pool.make() }
        for (number, buffer) in again.enumerated() {
            buffer.base.storeBytes(of: number, as: Int.self)
        }
        #expect(again.indices.allSatisfy { again[$0].base.load(as: Int.self) == $0 })
        #expect(pool.idleCounts.warm + pool.idleCounts.cold == 256 - 32 - 40)
    }

    @Test func `many threads at once agree with what they put in`() async {
        let cache = BlockCache(byteLimit: UInt64(BlockCache.entryBytes * 500))
        let pool = BlockBufferPool()
        await withTaskGroup(of: Int.self) { group in
            for task in 0..<4 {
                group.addTask {
                    var chance = SeededGenerator(seed: UInt64(task))
                    var wrong = 0
                    for _ in 0..<5000 {
                        let block = Int.random(in: 0..<1500, using: &chance)
                        let target = pointer(block, hash: UInt64(block))
                        if let found = cache.lookup(target, as: .data) {
                            if found.base.load(as: Int.self) != block { wrong += 1 }
                        } else {
                            let buffer = pool.make()
                            buffer.base.storeBytes(of: block, as: Int.self)
                            cache.insert(target, buffer, as: .data)
                        }
                        if block % 50 == 0 { cache.remove(target.address) }
                    }
                    return wrong
                }
            }
            for await wrong in group { #expect(wrong == 0) }
        }
    }
}

@Suite struct BlockReaderTests {
    private let image: MemoryImage
    private let device: RecordingDevice
    private let reader: BlockReader
    private let pointers: [BlockPointer]

    init() throws {
        var image = MemoryImage(byteCount: UInt64(200 * Geometry.blockBytes))
        var pointers: [BlockPointer] = []
        for index in 0..<200 {
            let buffer = BlockBuffer()
            buffer.clear()
            buffer.base.storeBytes(of: index + 1, as: Int.self)
            let offset = UInt64(index * Geometry.blockBytes)
            image.write(buffer.bytes, at: offset)
            pointers.append(
                BlockPointer(
                    address: BlockAddress(rawValue: offset),
                    hash: MetroHash64.hash(buffer.bytes), generation: .zero))
        }
        self.image = image
        self.pointers = pointers
        device = try RecordingDevice(image: image)
        reader = BlockReader(
            device: device, cache: BlockCache(byteLimit: 4 << 20), pool: BlockBufferPool())
    }

    @Test func `a miss that must not block says so, and a hit does not`() throws {
        #expect(throws: ReadError.wouldBlock) { try reader.data(pointers[3], mayBlock: false) }
        let buffer = try reader.data(pointers[3], mayBlock: true)
        #expect(buffer.base.load(as: Int.self) == 4)
        #expect(try reader.data(pointers[3], mayBlock: false) === buffer)
        #expect(throws: ReadError.wouldBlock) {
            try reader.data(run: Array(pointers[2...4]), mayBlock: false)
        }
    }

    @Test func `a wrong hash names block, kind and both hashes`() throws {
        var pointer = pointers[5]
        pointer.hash ^= 1
        do {
            _ = try reader.data(pointer, mayBlock: true)
            Issue.record("the block was accepted")
        } catch ReadError.corrupt(let error) {
            #expect(error.address == pointer.address)
            #expect(error.reason == .hash(found: pointers[5].hash, expected: pointer.hash))
            #expect(error.structure == .block(.data))
        }
    }

    @Test func `data that has a node's hash is no node`() throws {
        _ = try reader.data(pointers[5], mayBlock: true)
        #expect(throws: ReadError.self) { try reader.node(pointers[5], mayBlock: true) }
    }

    @Test func `an address that cannot be one is an error`() {
        for address in [BlockAddress.none, .init(rawValue: 1), .init(rawValue: 1 << 62)] {
            let pointer = BlockPointer(address: address, hash: 0, generation: .zero)
            #expect(throws: ReadError.self) { try reader.data(pointer, mayBlock: true) }
            #expect(throws: ReadError.self) {
                try reader.data(run: [pointers[0], pointer], mayBlock: true)
            }
        }
    }

    @Test func `a run comes in order whatever is cached and however it lies`() throws {
        let seed = storeTestSeed()
        var chance = SeededGenerator(seed: seed)
        for _ in 0..<50 {
            var run: [BlockPointer] = []
            while run.count < 150 {
                let start = Int.random(in: 0..<200, using: &chance)
                run += pointers[start..<min(200, start + Int.random(in: 1...90, using: &chance))]
            }
            let buffers = try reader.data(run: run, mayBlock: true)
            let numbers = buffers.map { $0.base.load(as: Int.self) }
            let expected = run.map { Int($0.address.rawValue) / Geometry.blockBytes + 1 }
            #expect(numbers == expected, "seed \(seed)")
        }
        #expect(try reader.data(run: [], mayBlock: false).isEmpty)
    }

    @Test func `a device error is passed on`() {
        device.failTransfers(in: 0..<16384)
        #expect(
            throws: ReadError.device(.readFailed(offset: 0, byteCount: 16384, errno: 5))
        ) { try reader.data(pointers[0], mayBlock: true) }
    }

    @Test func `a node is checked when it is loaded`() throws {
        let memory = MemoryDevice(byteCount: Ream.deviceBytesMin)
        try Ream.run(device: memory, user: "glenda")
        let superblock = try SuperblockPair(reading: memory).loaded()
        let reader = BlockReader(
            device: memory, cache: BlockCache(byteLimit: 1 << 20), pool: BlockBufferPool())
        let root = try reader.node(superblock.snapshotTreeRoot, mayBlock: true)
        #expect(LeafView(unchecked: UnsafeRawPointer(root.base)).count == 6)
    }
}
