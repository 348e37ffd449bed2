import GefsEngine

/// What is resident, beside what the limits say.
public enum MemoryBench {
    private static let section = "memory"

    /// Reads a tree that is larger than the cache, at random, with caches of several sizes.
    public static func run(
        path: String, files: Int, caches: [Int], _ output: BenchOutput
    ) throws {
        let making = try BenchVolume(making: path, byteCount: 16 << 30, cacheBytes: 64 << 20)
        try making.fill(0..<files, .flat)
        try making.sync()
        let shape = try making.fileSystem.treeShape(of: Array("main".utf8))
        try making.close()
        for cache in caches {
            try measure(path, files, cache, shape.byteCount, output)
        }
    }

    private static func measure(
        _ path: String, _ files: Int, _ cache: Int, _ treeBytes: Int, _ output: BenchOutput
    ) throws {
        let volume = try BenchVolume(opening: path, cacheBytes: UInt64(cache))
        let before = ProcessMemory.residentBytes
        let names = BenchName()
        var random = BenchRandom(5)
        var most = 0
        try volume.withDirectory("one") { directory in
            for _ in 0..<6 {
                for _ in 0..<max(1, files / 10) {
                    try volume.status(2 * random.below(files), in: directory, names)
                }
                most = max(most, ProcessMemory.residentBytes)
            }
        }
        let state = try volume.fileSystem.memoryState()
        let grown = Double(most - before)
        output(
            BenchRow(
                section, "cache of \(cache >> 20) MiB, resident", grown / Double(cache),
                "of the limit",
                [
                    ("counted", Double(state.cachedBytes) / Double(cache)),
                    ("blocks", Double(state.cachedBlocks)),
                    ("bytes_per_block", grown / Double(max(1, state.cachedBlocks))),
                    ("tree_mib", Double(treeBytes) / 1_048_576),
                    ("evictions", Double(state.evictions)),
                ]))
        try volume.close()
    }
}
