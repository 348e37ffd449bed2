import GefsEngine

/// What snapshots cost, and what they make of everything else, by how many there are.
public enum SnapshotsBench {
    private static let section = "snapshots"

    /// Makes snapshots of one branch, each after a change of one file, and measures where there are
    /// as many as `counts` says.
    public static func run(
        path: String?, files: Int, counts: [Int], _ output: BenchOutput
    ) throws {
        let volume = try BenchVolume(making: path, byteCount: 16 << 30)
        try volume.fill(0..<files, .flat)
        try volume.sync()
        let names = BenchName()
        var random = BenchRandom(1)
        var present = 0
        try volume.withDirectory("one") { directory in
            for count in counts.sorted() {
                while present < count {
                    try volume.touch(
                        2 * random.below(files), in: directory, names, time: Int64(present))
                    try volume.fileSystem.change(
                        [.snapshot(of: main, as: label(present))], as: BenchVolume.caller)
                    present += 1
                }
                try measure(volume, directory, count, files, &random, output)
            }
        }
        try volume.close()
    }

    private static let main = Array("main".utf8)

    private static func label(_ number: Int) -> [UInt8] { Array("s\(number)".utf8) }

    private static func measure(
        _ volume: BenchVolume, _ directory: FileHandle, _ count: Int, _ files: Int,
        _ random: inout BenchRandom, _ output: BenchOutput
    ) throws {
        let names = BenchName()
        let extra = Array("extra".utf8)
        var (made, dropped, committed): ([Double], [Double], [Double]) = ([], [], [])
        var written = DeviceCounts()
        for index in 0..<50 {
            try volume.touch(
                2 * random.below(files), in: directory, names, time: Int64(index))
            var watch = Stopwatch()
            try volume.sync()
            committed.append(watch.seconds * 1e6)
            try volume.touch(
                2 * random.below(files), in: directory, names, time: Int64(index))
            watch = Stopwatch()
            written = try volume.counting {
                try volume.fileSystem.change(
                    [.snapshot(of: main, as: extra)], as: BenchVolume.caller)
            }
            made.append(watch.seconds * 1e6)
            watch = Stopwatch()
            try volume.fileSystem.change([.delete(extra)], as: BenchVolume.caller)
            dropped.append(watch.seconds * 1e6)
        }
        let operations = min(100_000, files)
        var watch = Stopwatch()
        for _ in 0..<2 {
            watch = Stopwatch()
            for _ in 0..<operations {
                try volume.status(2 * random.below(files), in: directory, names)
            }
        }
        let lookup = watch.seconds / Double(operations) * 1e6
        let detail = ("snapshots", Double(count))
        output(
            BenchRow(
                section, "snapshot", median(made), "us",
                [detail, ("blocks_written", Double(written.writtenBlocks))]))
        output(BenchRow(section, "delete a snapshot", median(dropped), "us", [detail]))
        output(BenchRow(section, "commit", median(committed), "us", [detail]))
        output(BenchRow(section, "lookup, random", lookup, "us", [detail]))
    }

    static func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
}
