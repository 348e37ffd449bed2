import GefsFormat
import Testing

@testable import GefsEngine

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The seed of a random test: `GEFS_SEED`, or a new one, which is printed.
func storeTestSeed(_ test: String = #function) -> UInt64 {
    if let text = getenv("GEFS_SEED"), let seed = UInt64(String(cString: text)) { return seed }
    let seed = UInt64.random(in: 0..<1_000_000)
    print("\(test): GEFS_SEED=\(seed)")
    return seed
}

/// Where the reference images and the oracle are.
private func sharedFolder() -> String {
    if let shared = getenv("GEFS_SHARED") { return String(cString: shared) }
    let parts = #filePath.split(separator: "/", omittingEmptySubsequences: false)
    return parts.dropLast(4).joined(separator: "/") + "/../shared"
}

/// What the oracle's `check` finds in an image, one line each without the final counts of blocks;
/// nil with a message if it cannot be run.
func oracleFindings(_ image: MemoryImage) throws -> [Substring]? {
    let oracle = sharedFolder() + "/tools/gefs_oracle.py"
    guard access(oracle, R_OK) == 0, system("python3 --version >/dev/null 2>&1") == 0 else {
        print("skipped: \(oracle) cannot be run")
        return nil
    }
    let path = "/tmp/gefs-oracle-\(getpid())-\(UInt64.random(in: 0..<UInt64.max))"
    defer { unlink(path) }
    let file = try FileDevice.create(path: path, byteCount: image.byteCount)
    var offset: UInt64 = 0
    while offset < image.byteCount {
        let count = Int(min(image.byteCount - offset, 1 << 20))
        try image.bytes(at: offset, count: count).withUnsafeBytes {
            try file.write(at: offset, from: $0)
        }
        offset += UInt64(count)
    }
    file.close()
    guard let pipe = popen("python3 '\(oracle)' check --strict '\(path)' 2>&1", "r") else {
        return nil
    }
    defer { pclose(pipe) }
    var text: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 4096)
    while case let count = fread(&part, 1, part.count, pipe), count > 0 { text += part[..<count] }
    let lines = String(decoding: text, as: UTF8.self).split(separator: "\n")
    return lines.filter { !$0.contains("blocks allocated") }
}

/// A reference image decompressed, or nil with a message if the images are not there.
func referenceImage(_ name: String) -> MemoryImage? {
    let path = "\(sharedFolder())/images/\(name).img.xz"
    guard access(path, R_OK) == 0, let pipe = popen("xz -dc '\(path)'", "r") else {
        print("skipped: \(path) is not there")
        return nil
    }
    defer { pclose(pipe) }
    var image = MemoryImage(byteCount: 0)
    var part = [UInt8](repeating: 0, count: 1 << 20)
    var offset: UInt64 = 0
    while true {
        let count = fread(&part, 1, part.count, pipe)
        guard count > 0 else { break }
        image.resize(to: offset + UInt64(count))
        part.withUnsafeBytes {
            image.write(UnsafeRawBufferPointer(rebasing: $0[..<count]), at: offset)
        }
        offset += UInt64(count)
    }
    return image
}

/// The free blocks of all arenas, as indices.
func freeBlocks(_ arenas: ArenaSet) -> [Set<Int>] {
    arenas.arenas.map { arena in
        Set((0..<arena.map.blockCount).filter { arena.map.isFree($0) })
    }
}

/// A store without trees: arenas and superblocks on a recorded device, and the commit protocol as
/// FORMAT 9.2 has it.
final class BareVolume {
    let device: RecordingDevice
    let pool = BlockBufferPool()
    private(set) var superblock: Superblock
    let arenas: ArenaSet
    /// Footers and backup of the last commit, not written yet.
    private var phaseC: [StoreWrite] = []
    private var toFree: [BlockAddress] = []
    private(set) var compressions = 0
    private(set) var extraFlushes = 0

    /// An image with fresh arenas of `blocks` blocks each.
    static func freshImage(arenaCount: Int, blocks: Int, gap: Int = 0) -> MemoryImage {
        let blockBytes = UInt64(Geometry.blockBytes)
        let size = UInt64(blocks) * blockBytes
        var image = MemoryImage(
            byteCount: UInt64(arenaCount) * (size + 2 * blockBytes) + UInt64(2 + gap) * blockBytes)
        let pool = BlockBufferPool()
        var references: [Superblock.ArenaReference] = []
        for index in 0..<arenaCount {
            let arena = FreshArena(
                address: BlockAddress(
                    rawValue: blockBytes + UInt64(index) * (size + 2 * blockBytes)),
                byteCount: size)
            let (hash, writes) = arena.writes(pool: pool)
            references.append(Superblock.ArenaReference(address: arena.address, hash: hash))
            for write in writes { image.write(write.bytes, at: write.offset) }
        }
        let superblock = Superblock(
            snapshotTreeHeight: 1,
            snapshotTreeRoot: BlockPointer(
                address: BlockAddress(rawValue: blockBytes), hash: 0, generation: .zero),
            nextQid: 3, nextGeneration: Generation(rawValue: 3), commitGeneration: 0,
            arenas: references)
        let block = BlockBuffer()
        superblock.encode(into: block.mutableBytes)
        image.write(block.bytes, at: 0)
        image.write(
            block.bytes, at: DeviceLayout.backupSuperblock(deviceBytes: image.byteCount))
        return image
    }

    /// Opens for writing, with the repairs of FORMAT 9.4.
    init(_ image: MemoryImage) throws {
        device = try RecordingDevice(image: image)
        let loaded = try ArenaSet.load(from: device, pool: pool)
        let pair = loaded.pair
        superblock = loaded.superblock
        arenas = loaded.arenas
        try device.write(arenas.repairsAtOpen())
        if !pair.agree {
            let block = BlockBuffer()
            superblock.encode(into: block.mutableBytes)
            if case .failure = pair.primary {
                try device.write(at: 0, from: block.bytes)
            } else {
                try device.write(at: pair.backupAddress.rawValue, from: block.bytes)
            }
        }
        try device.flush()
        arenas.didRepair()
    }

    /// The superblock and free blocks that an image opens with, writing nothing.
    static func peek(_ image: MemoryImage) throws -> (qgen: UInt64, free: [Set<Int>]) {
        let device = MemoryDevice(image)
        let superblock = try SuperblockPair(reading: device).loaded()
        let arenas = try ArenaSet.load(superblock, from: device, pool: BlockBufferPool())
        return (superblock.commitGeneration, freeBlocks(arenas))
    }

    /// One commit. `durable` runs when it is acknowledged, before phase C is written.
    func commit(
        frees: [BlockAddress] = [], prepared: () -> Void = {}, durable: () throws -> Void = {}
    ) throws {
        let lastDurable = superblock.commitGeneration
        let barrier = max(lastDurable, arenas.highestBarrier) + 1
        try device.write(phaseC)
        phaseC = []
        let oldChains = arenas.planCompression()
        if !oldChains.isEmpty { compressions += 1 }
        let commit = try arenas.prepareCommit(barrier: barrier, lastDurable: lastDurable)
        prepared()
        try device.write(commit.blocks)
        try device.write(commit.links)
        try device.write(commit.headers)
        if commit.needsFlushBeforeLinks {
            extraFlushes += 1
            try device.flush()
            try device.write(commit.linksAfterFlush)
        }
        try device.flush()
        superblock.commitGeneration = barrier
        superblock.arenas = commit.references
        let block = pool.make()
        superblock.encode(into: block.mutableBytes)
        try device.write(at: 0, from: block.bytes)
        try device.flush()
        arenas.didCommit()
        for address in oldChains + frees { try arenas.free(address) }
        let backup = DeviceLayout.backupSuperblock(deviceBytes: device.byteCount)
        phaseC = [StoreWrite(at: BlockAddress(rawValue: backup), block)] + commit.footers
        try durable()
    }

    /// Writes what the last commit left for later.
    func finish() throws {
        try device.write(phaseC)
        phaseC = []
        try device.flush()
    }
}
