import GefsEngine
import GefsFormat

/// What is written to the device for what is asked for, counted by the device.
public enum WritesBench {
    private static let section = "writes"

    /// - Parameters:
    ///   - files: how many are created.
    ///   - commitEvery: operations between two commits; so many as are done in the five seconds
    ///     between two commits of a server.
    public static func run(
        path: String?, files: Int, commitEvery: Int, _ output: BenchOutput
    ) throws {
        for isRandom in [false, true] {
            try creations(path, files, commitEvery, isRandom: isRandom, output)
        }
        try scattered(path, files, output)
    }

    // MARK: Creations

    private static func creations(
        _ path: String?, _ files: Int, _ commitEvery: Int, isRandom: Bool, _ output: BenchOutput
    ) throws {
        try withVolume(path) { volume in
            let before = volume.device.counts
            let names = BenchName()
            let step = isRandom ? EngineBench.scatteringStep(files) : 1
            try volume.withDirectory("one") { directory in
                for index in 0..<files {
                    try volume.create(index * step % files, in: directory, names)
                    if index % commitEvery == commitEvery - 1 { try volume.sync() }
                }
            }
            try volume.sync()
            let counts = volume.device.counts - before
            let shape = try volume.fileSystem.treeShape(of: main)
            // A record: key and value with what a leaf adds; the key is kind, parent, name, and
            // two bytes.
            let record =
                DirectoryEntry.byteCount + Geometry.recordOverheadBytes + Geometry.tableEntryBytes
                + 9 + 2 + 10
            output(
                BenchRow(
                    section, isRandom ? "create, random names" : "create, ascending names",
                    Double(counts.writtenBytes) / Double(shape.byteCount),
                    "bytes/byte of metadata",
                    [
                        ("files", Double(files)),
                        ("commits", Double(files / commitEvery + 1)),
                        ("written_mib", Double(counts.writtenBytes) / 1_048_576),
                        ("metadata_mib", Double(shape.byteCount) / 1_048_576),
                        (
                            "per_byte_of_records",
                            Double(counts.writtenBytes) / Double(files * record)
                        ),
                        ("flushes", Double(counts.flushes)),
                    ]))
        }
    }

    private static let main = Array("main".utf8)

    private static func withVolume(
        _ path: String?, _ body: (BenchVolume) throws -> Void
    ) throws {
        if let path { try? HostFile.remove(path) }
        let volume = try BenchVolume(making: path, byteCount: 8 << 30)
        try body(volume)
        try volume.close()
    }

    // MARK: Commits

    private static func scattered(
        _ path: String?, _ files: Int, _ output: BenchOutput
    ) throws {
        try withVolume(path) { volume in
            try volume.fill(0..<files, .flat)
            let dataBlocks = max(1024, min(65536, files / 16))
            let handle = try makeData(volume, blocks: dataBlocks)
            defer { volume.fileSystem.close(handle) }
            let shape = try volume.fileSystem.treeShape(of: main)
            try oneBlock(volume, handle, output)
            for count in [1, 10, 100, 1000, 10_000] where count <= min(files, dataBlocks) {
                try keys(volume, files, count, shape, output)
                try blocks(volume, handle, dataBlocks, count, shape, output)
            }
        }
    }

    private static func makeData(
        _ volume: BenchVolume, blocks: Int
    ) throws -> FileHandle {
        try volume.fileSystem.write([], to: "data", as: BenchVolume.caller)
        let handle = try volume.fileSystem.walk("data", as: BenchVolume.caller)
        try volume.fileSystem.open(handle, OpenMode(.readWrite), as: BenchVolume.caller)
        for index in 0..<blocks { try write(volume, handle, index) }
        try volume.sync()
        return handle
    }

    private static func write(
        _ volume: BenchVolume, _ handle: FileHandle, _ index: Int
    ) throws(FileError) {
        try withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 8) {
            (bytes) throws(FileError) -> Void in
            bytes.initializeMemory(as: UInt8.self, repeating: UInt8(truncatingIfNeeded: index | 1))
            _ = try volume.fileSystem.write(
                handle, at: UInt64(index) * UInt64(Geometry.blockBytes),
                from: UnsafeRawBufferPointer(bytes), as: BenchVolume.caller)
        }
    }

    private static func oneBlock(
        _ volume: BenchVolume, _ handle: FileHandle, _ output: BenchOutput
    ) throws {
        var most = DeviceCounts()
        for index in 0..<20 {
            try write(volume, handle, index * 37 % 1024)
            let counts = try volume.counting { try volume.sync() }
            if counts.writtenBytes >= most.writtenBytes { most = counts }
        }
        output(
            BenchRow(
                section, "commit of one dirty block", Double(most.writtenBytes) / 16384,
                "blocks",
                [("writes", Double(most.writes)), ("flushes", Double(most.flushes))]))
    }

    /// What a commit may write beyond the data: superblocks, lists and logs are in the tree's
    /// share, as the bound has it.
    private static func bound(_ count: Int, _ shape: TreeShape) -> Int {
        2 * min(count * shape.height, shape.nodes)
    }

    private static func keys(
        _ volume: BenchVolume, _ files: Int, _ count: Int, _ shape: TreeShape,
        _ output: BenchOutput
    ) throws {
        let names = BenchName()
        var most = 0.0
        for round in 0..<5 {
            let step = EngineBench.scatteringStep(files)
            try volume.withDirectory("one") { directory in
                for index in 0..<count {
                    let number = (index + round * count) * step % files
                    try volume.touch(2 * number, in: directory, names, time: Int64(round))
                }
            }
            let counts = try volume.counting { try volume.sync() }
            most = max(most, Double(counts.writtenBytes) / 16384)
        }
        let limit = Double(bound(count, shape))
        output(
            BenchRow(
                section, "commit of \(count) scattered entries", most, "blocks",
                [
                    ("bound", limit), ("of_bound", most / limit),
                    ("height", Double(shape.height)), ("nodes", Double(shape.nodes)),
                ]))
    }

    private static func blocks(
        _ volume: BenchVolume, _ handle: FileHandle, _ dataBlocks: Int, _ count: Int,
        _ shape: TreeShape, _ output: BenchOutput
    ) throws {
        var most = 0.0
        let step = EngineBench.scatteringStep(dataBlocks)
        for round in 0..<5 {
            // Part of the data may go out before the commit, so all of it is counted.
            let counts = try volume.counting {
                for index in 0..<count {
                    try write(volume, handle, (index + round * count) * step % dataBlocks)
                }
                try volume.sync()
            }
            most = max(most, Double(counts.writtenBytes) / 16384)
        }
        let limit = Double(count + bound(count, shape))
        output(
            BenchRow(
                section, "commit of \(count) scattered data blocks", most, "blocks",
                [("bound", limit), ("of_bound", most / limit), ("data", Double(count))]))
    }
}
