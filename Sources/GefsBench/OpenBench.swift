import GefsEngine
import GefsFormat

/// How long opening takes, by what there is to read.
public enum OpenBench {
    private static let section = "open"

    /// Fills an image, which is made where there is none.
    ///
    /// - Parameters:
    ///   - files: even numbers below twice this are there afterwards.
    ///   - dataBytes: so much is used by files of zeros, which take no room on the host's disk.
    public static func fill(
        path: String, byteCount: UInt64, isNew: Bool, files: Range<Int>,
        layout: BenchVolume.Layout, dataBytes: Int
    ) throws {
        let volume =
            isNew
            ? try BenchVolume(making: path, byteCount: byteCount, skipsZeros: true)
            : try BenchVolume(opening: path, skipsZeros: true)
        try volume.fill(files, layout)
        let piece = [UInt8](repeating: 0, count: 1 << 20)
        let fileBytes = 1 << 30
        for start in stride(from: 0, to: dataBytes, by: fileBytes) {
            let name = "zeros\(start / fileBytes)"
            try volume.fileSystem.write([], to: name, as: BenchVolume.caller)
            let handle = try volume.fileSystem.walk(name, as: BenchVolume.caller)
            defer { volume.fileSystem.close(handle) }
            try volume.fileSystem.open(handle, OpenMode(.write), as: BenchVolume.caller)
            for offset in stride(from: 0, to: min(fileBytes, dataBytes - start), by: piece.count) {
                _ = try piece.withUnsafeBytes {
                    try volume.fileSystem.write(
                        handle, at: UInt64(offset), from: $0, as: BenchVolume.caller)
                }
            }
            try volume.sync()
        }
        try volume.close()
    }

    /// Opens an image some times, until a file could be looked at.
    public static func run(
        path: String, name: String, rounds: Int, _ output: BenchOutput
    ) throws {
        var times: [Double] = []
        var read = DeviceCounts()
        var space: SpaceReport?
        for _ in 0..<rounds {
            let watch = Stopwatch()
            let volume = try BenchVolume(opening: path, cacheBytes: 256 << 20)
            try volume.fileSystem.close(
                volume.fileSystem.walk("", as: BenchVolume.caller))
            times.append(watch.seconds)
            read = volume.device.counts
            space = volume.fileSystem.space()
            try volume.close()
        }
        output(
            BenchRow(
                section, name, SnapshotsBench.median(times), "s",
                [
                    ("first_s", times[0]), ("read_blocks", Double(read.readBytes / 16384)),
                    ("reads", Double(read.reads)),
                    ("used_gib", Double(space?.used ?? 0) / Double(1 << 30)),
                ]))
    }

    /// Lets the logs of the arenas grow by commits of scattered changes, and measures opening at
    /// each of the numbers of commits.
    public static func logs(path: String, commits: [Int], _ output: BenchOutput) throws {
        let blocks = 32768
        var volume = try BenchVolume(making: path, byteCount: 2 << 30)
        try volume.fileSystem.write([], to: "data", as: BenchVolume.caller)
        var handle = try Self.handle(volume)
        let piece = [UInt8](repeating: 1, count: Geometry.blockBytes)
        func write(_ index: Int) throws {
            _ = try piece.withUnsafeBytes {
                try volume.fileSystem.write(
                    handle, at: UInt64(index * Geometry.blockBytes), from: $0,
                    as: BenchVolume.caller)
            }
        }
        for index in 0..<blocks { try write(index) }
        var random = BenchRandom(4)
        var done = 0
        for count in commits.sorted() {
            while done < count {
                for _ in 0..<100 { try write(random.below(blocks)) }
                try volume.sync()
                done += 1
            }
            volume.fileSystem.close(handle)
            try volume.close()
            try run(path: path, name: "after \(count) scattered commits", rounds: 5, output)
            volume = try BenchVolume(opening: path)
            handle = try Self.handle(volume)
        }
        volume.fileSystem.close(handle)
        try volume.close()
    }

    private static func handle(_ volume: BenchVolume) throws(FileError) -> FileHandle {
        let handle = try volume.fileSystem.walk("data", as: BenchVolume.caller)
        try volume.fileSystem.open(handle, OpenMode(.readWrite), as: BenchVolume.caller)
        return handle
    }
}
