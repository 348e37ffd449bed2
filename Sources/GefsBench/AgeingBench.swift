import GefsEngine
import GefsFormat

/// What an image does when it is new and nearly full, and after much has been changed in it.
public enum AgeingBench {
    private static let section = "ageing"
    private static let fileBlocksMax = 64

    /// - Parameters:
    ///   - byteCount: of the image; it is filled to four fifths.
    ///   - operations: changes at random: three quarters of them a block of some file, the rest
    ///     files that go while others come.
    ///   - commitEvery: operations between two commits.
    public static func run(
        path: String?, byteCount: Int, operations: Int, commitEvery: Int, _ output: BenchOutput
    ) throws {
        let ageing = try Ageing(
            volume: BenchVolume(
                making: path, byteCount: UInt64(byteCount), cacheBytes: 128 << 20))
        try ageing.fill()
        try ageing.measure("new", output)
        let watch = Stopwatch()
        try ageing.age(operations, commitEvery: commitEvery)
        output(
            BenchRow(
                section, "rewriting at random", watch.seconds / Double(operations) * 1e6, "us",
                [
                    ("count", Double(operations)),
                    ("cpu_us", watch.processorSeconds / Double(operations) * 1e6),
                ]))
        try ageing.measure("aged", output)
        try ageing.volume.close()
    }

    private final class Ageing {
        let volume: BenchVolume
        private var random = BenchRandom(7)
        /// Blocks of each file that is there, by its number.
        private var sizes: [Int] = []
        private let names = BenchName()
        private var piece = [UInt8](repeating: 0, count: fileBlocksMax * Geometry.blockBytes)

        init(volume: BenchVolume) {
            self.volume = volume
            for index in piece.indices {
                piece[index] = UInt8(truncatingIfNeeded: random.below(256))
            }
        }

        /// Small files, mostly, and some of a mebibyte.
        private func newSize() -> Int {
            random.below(10) == 0 ? AgeingBench.fileBlocksMax : 1 + random.below(8)
        }

        private func put(_ number: Int, blocks: Int, at block: Int, in directory: FileHandle) throws
        {
            let handle = try volume.fileSystem.walk(
                from: directory, names.set(2 * number), as: BenchVolume.caller)
            defer { volume.fileSystem.close(handle) }
            try volume.fileSystem.open(handle, OpenMode(.write), as: BenchVolume.caller)
            _ = try piece.withUnsafeBytes {
                try volume.fileSystem.write(
                    handle, at: UInt64(block * Geometry.blockBytes),
                    from: UnsafeRawBufferPointer(rebasing: $0[..<(blocks * Geometry.blockBytes)]),
                    as: BenchVolume.caller)
            }
        }

        private func make(_ number: Int, in directory: FileHandle) throws {
            let blocks = newSize()
            try volume.create(2 * number, in: directory, names)
            try put(number, blocks: blocks, at: 0, in: directory)
            if number == sizes.count { sizes.append(blocks) } else { sizes[number] = blocks }
        }

        func fill() throws {
            let wanted = volume.fileSystem.space().size / 5 * 4
            try volume.withDirectory("one") { directory in
                while true {
                    for _ in 0..<200 { try make(sizes.count, in: directory) }
                    if sizes.count % 1000 == 0 { try volume.sync() }
                    let space = volume.fileSystem.space()
                    if space.used + space.promisedBytes >= wanted { break }
                }
            }
            try volume.sync()
        }

        func age(_ operations: Int, commitEvery: Int) throws {
            try volume.withDirectory("one") { directory in
                for index in 0..<operations {
                    let number = random.below(sizes.count)
                    if random.below(4) > 0 {
                        try put(number, blocks: 1, at: random.below(sizes[number]), in: directory)
                    } else {
                        try volume.remove(2 * number, in: directory, names)
                        try make(number, in: directory)
                    }
                    if index % commitEvery == commitEvery - 1 { try volume.sync() }
                }
            }
            try volume.sync()
        }

        func measure(_ state: String, _ output: BenchOutput) throws {
            let count = 2000
            func note(_ name: String, _ operations: Int, _ body: () throws -> Void) throws {
                let watch = Stopwatch()
                let counts = try volume.counting(body)
                output(
                    BenchRow(
                        AgeingBench.section, "\(state): \(name)",
                        watch.seconds / Double(operations) * 1e6, "us",
                        [
                            ("cpu_us", watch.processorSeconds / Double(operations) * 1e6),
                            ("reads", Double(counts.reads) / Double(operations)),
                            ("written_bytes", Double(counts.writtenBytes) / Double(operations)),
                        ]))
            }
            try volume.withDirectory("one") { directory in
                var number = 0
                try note("lookup", count * 5) {
                    for _ in 0..<(count * 5) {
                        try volume.status(2 * random.below(sizes.count), in: directory, names)
                    }
                }
                try note("read a file", count) {
                    for _ in 0..<count {
                        number = random.below(sizes.count)
                        let handle = try volume.fileSystem.walk(
                            from: directory, names.set(2 * number), as: BenchVolume.caller)
                        defer { volume.fileSystem.close(handle) }
                        try volume.fileSystem.open(handle, OpenMode(.read), as: BenchVolume.caller)
                        _ = try piece.withUnsafeMutableBytes {
                            try volume.fileSystem.read(
                                handle, at: 0, into: $0, as: BenchVolume.caller)
                        }
                    }
                }
                try note("write a block and commit each 100", count) {
                    for index in 0..<count {
                        number = random.below(sizes.count)
                        try put(number, blocks: 1, at: random.below(sizes[number]), in: directory)
                        if index % 100 == 99 { try volume.sync() }
                    }
                }
                try note("remove and make a file", count) {
                    for _ in 0..<count {
                        number = random.below(sizes.count)
                        try volume.remove(2 * number, in: directory, names)
                        try make(number, in: directory)
                    }
                    try volume.sync()
                }
            }
            let free = try volume.fileSystem.freeSpace()
            let runs = free.reduce(0) { $0 + $1.runs }
            let bytes = free.reduce(0) { $0 + Int($1.freeBytes) }
            output(
                BenchRow(
                    AgeingBench.section, "\(state): mean free run",
                    Double(bytes) / Double(max(1, runs)) / 16384, "blocks",
                    [
                        ("runs", Double(runs)),
                        ("free_mib", Double(bytes) / 1_048_576),
                    ]))
        }
    }
}
