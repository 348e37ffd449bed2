import GefsEngine

/// What an operation costs by how many files there are.
public enum FilesBench {
    private static let section = "files"

    /// How the benchmark is run.
    public struct Options: Sendable {
        /// Files at which to measure, ascending.
        public var counts: [Int]
        public var layout: BenchVolume.Layout
        /// Limit of the cache that holds the whole tree.
        public var cacheBytes: UInt64
        /// Limit of one that holds inner nodes only, for a second look at lookups.
        public var smallCacheBytes: UInt64
        /// Operations of a row; of creations no more than there are files, in several rounds.
        public var operations: Int

        public init(
            counts: [Int], layout: BenchVolume.Layout, cacheBytes: UInt64, smallCacheBytes: UInt64,
            operations: Int = 100_000
        ) {
            self.operations = operations
            self.counts = counts.sorted()
            self.layout = layout
            self.cacheBytes = cacheBytes
            self.smallCacheBytes = smallCacheBytes
        }
    }

    /// Fills one volume step by step, and measures at each of the counts.
    public static func run(path: String, _ options: Options, _ output: BenchOutput) throws {
        var volume = try BenchVolume(
            making: path, byteCount: 64 << 30, cacheBytes: options.cacheBytes)
        var present = 0
        for count in options.counts {
            let watch = Stopwatch()
            try volume.fill(present..<count, options.layout)
            try volume.sync()
            let added = Double(count - present)
            let (seconds, processor) = (watch.seconds, watch.processorSeconds)
            present = count
            let shape = try volume.fileSystem.treeShape(of: Array("main".utf8))
            output(
                BenchRow(
                    section, "\(options.layout) fill", seconds / added * 1e6, "us",
                    [
                        ("files", Double(count)), ("cpu_us", processor / added * 1e6),
                        ("height", Double(shape.height)), ("pivots", Double(shape.pivots)),
                        ("leaves", Double(shape.leaves)),
                    ]))
            try measure(volume, count, options, output)
            try volume.close()
            volume = try BenchVolume(opening: path, cacheBytes: options.smallCacheBytes)
            try lookups(volume, count, options, "lookup, leaves not cached", output)
            try volume.close()
            volume = try BenchVolume(opening: path, cacheBytes: options.cacheBytes)
        }
        try volume.close()
    }

    private static func measure(
        _ volume: BenchVolume, _ count: Int, _ options: Options, _ output: BenchOutput
    ) throws {
        let layout = options.layout
        let operations = min(options.operations, count)
        try lookups(volume, count, options, "lookup", output)
        // Some rounds, where a round is short.
        let rounds = max(1, min(20, options.operations / 2 / operations))
        let step = EngineBench.scatteringStep(count)
        var parts: [(name: String, seconds: Double, processor: Double)] = [
            ("create", 0, 0), ("remove", 0, 0),
        ]
        for _ in 0..<rounds {
            for part in parts.indices {
                let watch = Stopwatch()
                try each(volume, operations, layout, { 2 * ($0 * step % count) + 1 }) {
                    (number, directory, names) throws(FileError) in
                    if part == 0 {
                        try volume.create(number, in: directory, names)
                    } else {
                        try volume.remove(number, in: directory, names)
                    }
                }
                try volume.sync()
                parts[part].seconds += watch.seconds
                parts[part].processor += watch.processorSeconds
            }
        }
        for part in parts {
            let scale = 1e6 / Double(rounds * operations)
            output(
                BenchRow(
                    section, "\(layout) \(part.name), random, with its commit",
                    part.seconds * scale, "us",
                    [
                        ("files", Double(count)), ("cpu_us", part.processor * scale),
                        ("count", Double(rounds * operations)),
                    ]))
        }
        try listing(volume, count, layout, output)
    }

    private static func lookups(
        _ volume: BenchVolume, _ count: Int, _ options: Options, _ name: String,
        _ output: BenchOutput
    ) throws {
        var random = BenchRandom(UInt64(count))
        let (layout, operations) = (options.layout, options.operations)
        var last = Stopwatch()
        var counts = volume.device.counts
        // The first passes load what is loaded only once: two for the whole of a large tree.
        for _ in 0..<3 {
            (last, counts) = (Stopwatch(), volume.device.counts)
            try each(volume, operations, layout, { _ in 2 * random.below(count) }) {
                (number, directory, names) throws(FileError) in
                try volume.status(number, in: directory, names)
            }
        }
        let scale = 1e6 / Double(operations)
        let read = volume.device.counts - counts
        output(
            BenchRow(
                section, "\(layout) \(name)", last.seconds * scale, "us",
                [
                    ("files", Double(count)), ("cpu_us", last.processorSeconds * scale),
                    ("reads_each", Double(read.reads) / Double(operations)),
                ]))
    }

    private static func listing(
        _ volume: BenchVolume, _ count: Int, _ layout: BenchVolume.Layout, _ output: BenchOutput
    ) throws {
        var listed = 0
        let watch = Stopwatch()
        var next = 0
        while listed < count, listed < 1_000_000 {
            listed += try volume.withDirectory(BenchVolume.directory(of: 2 * next, layout)) {
                try volume.list($0)
            }
            next += BenchVolume.directoryFiles
        }
        output(
            BenchRow(
                section, "\(layout) list, an entry", watch.seconds / Double(listed) * 1e6, "us",
                [("files", Double(count)), ("count", Double(listed))]))
    }

    /// Calls `body` for so many files. Each of them is walked to from the root, unless all are in
    /// one directory.
    private static func each(
        _ volume: BenchVolume, _ operations: Int, _ layout: BenchVolume.Layout,
        _ number: (Int) -> Int,
        _ body: (Int, FileHandle, BenchName) throws(FileError) -> Void
    ) throws {
        let names = BenchName()
        if layout == .flat {
            try volume.withDirectory("one") { directory in
                for index in 0..<operations { try body(number(index), directory, names) }
            }
            return
        }
        for index in 0..<operations {
            let file = number(index)
            try volume.withDirectory(BenchVolume.directory(of: file, layout)) {
                try body(file, $0, names)
            }
        }
    }
}
