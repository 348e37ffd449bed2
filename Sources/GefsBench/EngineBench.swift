import GefsEngine
import GefsFormat

/// The engine in process, one thread: lookups, changes, scans, data, commits.
public enum EngineBench {
    private static let section = "engine"

    /// - Parameters:
    ///   - files: in one directory.
    ///   - dataBytes: of the file that is written and read.
    public static func run(
        path: String?, files: Int, operations: Int, dataBytes: Int, _ output: BenchOutput
    ) throws {
        let volume = try BenchVolume(
            making: path, byteCount: UInt64(8 << 30) + UInt64(dataBytes) * 8)
        try volume.withDirectory("one") { directory in
            try names(volume, directory, files: files, operations: operations, output)
        }
        try data(volume, byteCount: dataBytes, operations: operations, output)
        try commits(volume, count: max(10, min(200, operations / 100)), output)
        try volume.close()
    }

    /// Microseconds of one of `count` operations: by the clock, and of all processors.
    private static func measure(
        _ name: String, _ count: Int, _ output: BenchOutput,
        _ details: [(name: String, value: Double)] = [], _ body: () throws -> Void
    ) rethrows {
        let watch = Stopwatch()
        try body()
        let (seconds, processor) = (watch.seconds, watch.processorSeconds)
        let scale = 1e6 / Double(count)
        output(
            BenchRow(
                section, name, seconds * scale, "us",
                [("cpu_us", processor * scale), ("count", Double(count))] + details))
    }

    // MARK: Names

    private static func names(
        _ volume: BenchVolume, _ directory: FileHandle, files: Int, operations: Int,
        _ output: BenchOutput
    ) throws {
        let names = BenchName()
        try measure("create, ascending, with its commit", files, output) {
            for index in 0..<files { try volume.create(2 * index, in: directory, names) }
            try volume.sync()
        }
        var random = BenchRandom(1)
        // The first touch of each node is not what is looked at.
        for _ in 0..<operations {
            try volume.status(2 * random.below(files), in: directory, names)
        }
        try measure("lookup, random", operations, output) {
            for _ in 0..<operations {
                try volume.status(2 * random.below(files), in: directory, names)
            }
        }
        try measure("lookup, one file again and again", operations, output) {
            for _ in 0..<operations { try volume.status(2 * (files / 2), in: directory, names) }
        }
        try measure("lookup of a name that is not there", operations, output) {
            for _ in 0..<operations {
                do throws(FileError) {
                    try volume.status(2 * random.below(files) + 1, in: directory, names)
                } catch .notFound {}
            }
        }
        try measure("list a directory, an entry", files, output) {
            let listed = try volume.list(directory)
            precondition(listed == files, "files are missing")
        }
        try measure("change an entry, random, with the commit", operations, output) {
            for index in 0..<operations {
                try volume.touch(
                    2 * random.below(files), in: directory, names, time: Int64(index))
            }
            try volume.sync()
        }
        let count = min(files, operations)
        let step = scatteringStep(files)
        try measure("create, random, with the commit", count, output) {
            for index in 0..<count {
                try volume.create(2 * (index * step % files) + 1, in: directory, names)
            }
            try volume.sync()
        }
        try measure("remove, random, with the commit", count, output) {
            for index in 0..<count {
                try volume.remove(2 * (index * step % files) + 1, in: directory, names)
            }
            try volume.sync()
        }
    }

    /// A number that has no factor with `count`, so that its multiples meet each remainder once, in
    /// an order that looks like chance.
    static func scatteringStep(_ count: Int) -> Int {
        var step = count * 618 / 1000 | 1
        while !isCoprime(step, count) { step += 2 }
        return step
    }

    private static func isCoprime(_ left: Int, _ right: Int) -> Bool {
        var (a, b) = (left, right)
        while b != 0 { (a, b) = (b, a % b) }
        return a == 1
    }

    // MARK: Data

    private static func data(
        _ volume: BenchVolume, byteCount: Int, operations: Int, _ output: BenchOutput
    ) throws {
        let pieceBytes = 128 << 10
        var piece = [UInt8](repeating: 0, count: pieceBytes)
        var random = BenchRandom(3)
        for index in piece.indices { piece[index] = UInt8(truncatingIfNeeded: random.below(256)) }
        try volume.fileSystem.write([], to: "data", as: BenchVolume.caller)
        let handle = try volume.fileSystem.walk("data", as: BenchVolume.caller)
        defer { volume.fileSystem.close(handle) }
        try volume.fileSystem.open(handle, OpenMode(.readWrite), as: BenchVolume.caller)
        let pieces = max(1, byteCount / pieceBytes)

        func rate(_ name: String, _ body: () throws -> Void) rethrows {
            let watch = Stopwatch()
            try body()
            let bytes = Double(pieces * pieceBytes)
            output(
                BenchRow(
                    section, name, bytes / watch.seconds / 1e6, "MB/s",
                    [("cpu_ns_per_byte", watch.processorSeconds / bytes * 1e9)]))
        }
        for round in ["write", "write over"] {
            try rate("\(round) 128 KiB pieces, with the commit") {
                for index in 0..<pieces {
                    _ = try piece.withUnsafeBytes {
                        try volume.fileSystem.write(
                            handle, at: UInt64(index * pieceBytes), from: $0,
                            as: BenchVolume.caller)
                    }
                }
                try volume.sync()
            }
        }
        try rate("read 128 KiB pieces") {
            for index in 0..<pieces {
                _ = try piece.withUnsafeMutableBytes {
                    try volume.fileSystem.read(
                        handle, at: UInt64(index * pieceBytes), into: $0, as: BenchVolume.caller)
                }
            }
        }
        try measure("write 4 KiB at random, with the commit", operations, output) {
            for _ in 0..<operations {
                _ = try piece.withUnsafeBytes {
                    try volume.fileSystem.write(
                        handle, at: UInt64(random.below(pieces * pieceBytes / 4096) * 4096),
                        from: UnsafeRawBufferPointer(rebasing: $0[..<4096]),
                        as: BenchVolume.caller)
                }
            }
            try volume.sync()
        }
        try measure("read 4 KiB at random", operations, output) {
            for _ in 0..<operations {
                _ = try piece.withUnsafeMutableBytes {
                    try volume.fileSystem.read(
                        handle, at: UInt64(random.below(pieces * pieceBytes / 4096) * 4096),
                        into: UnsafeMutableRawBufferPointer(rebasing: $0[..<4096]),
                        as: BenchVolume.caller)
                }
            }
        }
    }

    // MARK: Commits

    private static func commits(
        _ volume: BenchVolume, count: Int, _ output: BenchOutput
    ) throws {
        let names = BenchName()
        var times: [Double] = []
        try volume.withDirectory("one") { directory in
            for index in 0..<count {
                try volume.touch(0, in: directory, names, time: Int64(index))
                let watch = Stopwatch()
                try volume.sync()
                times.append(watch.seconds * 1e6)
            }
        }
        times.sort()
        output(
            BenchRow(
                section, "commit of one changed entry", times[times.count / 2], "us",
                [("p99_us", times[times.count * 99 / 100]), ("count", Double(count))]))
    }
}
