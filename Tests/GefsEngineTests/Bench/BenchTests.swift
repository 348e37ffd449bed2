import GefsBench
import GefsEngine
import GefsFormat
import Testing

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Benchmarks at sizes that take no time: that they run, and that they count right.
@Suite(.timeLimit(.minutes(5)))
struct BenchTests {
    private final class Rows {
        var all: [BenchRow] = []

        subscript(name: String) -> BenchRow? { all.first { $0.name == name } }
    }

    /// Runs a benchmark that needs a file.
    private func rows(_ body: (String, BenchOutput) throws -> Void) throws -> Rows {
        let path = try ReferenceImages.temporaryPath()
        try? HostFile.remove(path)
        defer { try? HostFile.remove(path) }
        let rows = Rows()
        try body(path) { rows.all.append($0) }
        #expect(rows.all.allSatisfy { $0.value.isFinite && $0.value >= 0 })
        return rows
    }

    @Test
    func `a row is a JSON object in a line`() {
        let row = BenchRow("micro", "hash", 1.25, "ns", [("bytes", 64), ("none", .infinity)])
        #expect(
            row.json
                == #"{"section":"micro","row":"hash","value":1.25,"unit":"ns","bytes":64,"none":null}"#
        )
    }

    @Test
    func `the small parts and the engine are measured`() throws {
        let rows = Rows()
        try MicroBench.run(seconds: 0.001) { rows.all.append($0) }
        try EngineBench.run(path: nil, files: 2000, operations: 200, dataBytes: 1 << 20) {
            rows.all.append($0)
        }
        #expect(rows["search a pivot"] != nil && rows["lookup, random"] != nil)
    }

    @Test
    func `curves have a point for each count`() throws {
        for layout in BenchVolume.Layout.allCases {
            let rows = try rows { path, output in
                try FilesBench.run(
                    path: path,
                    .init(
                        counts: [100, 1500], layout: layout, cacheBytes: 32 << 20,
                        smallCacheBytes: 1 << 20, operations: 300), output)
            }
            #expect(rows.all.filter { $0.name == "\(layout) lookup" }.count == 2)
        }
        let rows = Rows()
        try SnapshotsBench.run(path: nil, files: 500, counts: [1, 3]) { rows.all.append($0) }
        try ThreadsBench.run(path: nil, files: 500, threads: [1, 2], operations: 500) {
            rows.all.append($0)
        }
        #expect(rows.all.filter { $0.name == "snapshot" }.count == 2)
        #expect(
            rows.all.filter { $0.name == "lookup, random" && $0.section == "threads" }.count == 2)
    }

    @Test
    func `a filled image is what the other programs expect, and opens`() throws {
        let rows = try rows { path, output in
            try OpenBench.fill(
                path: path, byteCount: 1 << 30, isNew: true, files: 0..<1200, layout: .nested,
                dataBytes: 3 << 20)
            try OpenBench.run(path: path, name: "open", rounds: 2, output)
            let fileSystem = try FileSystem.open(FileDevice(path: path, access: .readWrite))
            for name in ["nested/0/0/f000001998", "nested/0/1/f000002000", "zeros0"] {
                let handle = try fileSystem.walk(name, as: BenchVolume.caller)
                fileSystem.close(handle)
            }
            try fileSystem.close()
        }
        #expect(rows["open"] != nil)
    }

    @Test
    func `the device counts what a commit writes`() throws {
        let rows = Rows()
        try WritesBench.run(path: nil, files: 3000, commitEvery: 1000) { rows.all.append($0) }
        // A commit of one block: the bound that is promised.
        let single = try #require(rows["commit of one dirty block"])
        #expect(single.value > 2 && single.value <= 12)
        let ascending = try #require(rows["create, ascending names"])
        #expect(ascending.value >= 1)
        #expect(rows["commit of 100 scattered entries"] != nil)
    }

    @Test
    func `an image ages`() throws {
        let rows = Rows()
        try AgeingBench.run(path: nil, byteCount: 160 << 20, operations: 200, commitEvery: 50) {
            rows.all.append($0)
        }
        #expect(rows["aged: read a file"] != nil)
    }

    @Test
    func `counted blocks of zeros need not be written`() throws {
        let inner = MemoryDevice(byteCount: 1 << 20)
        let device = GefsBench.CountingDevice(inner, skipsZeros: true)
        var block = [UInt8](repeating: 0, count: Geometry.blockBytes)
        try block.withUnsafeBytes { try device.write(at: 0, from: $0) }
        block[100] = 1
        try block.withUnsafeBytes { try device.write(at: 32768, from: [$0, $0]) }
        try device.flush()
        #expect(device.counts.writtenBlocks == 3 && device.counts.writes == 2)
        #expect(device.counts.flushes == 1)
        var back = [UInt8](repeating: 9, count: Geometry.blockBytes)
        try back.withUnsafeMutableBytes { try device.read(at: 49152, into: $0) }
        #expect(back == block)
    }

    @Test
    func `the shape of a tree is told by its pivots`() throws {
        let volume = try BenchVolume(making: nil, byteCount: 1 << 30)
        try volume.fill(0..<5000, .flat)
        let shape = try volume.fileSystem.treeShape(of: Array("main".utf8))
        #expect(shape.height == 2 && shape.pivots == 1 && shape.leaves > 20)
        #expect(shape.leafFillBytes <= shape.leaves * Geometry.leafSpaceBytes)
        #expect(shape.leafFillBytes > 5000 * (DirectoryEntry.byteCount + 21))
        try volume.close()
    }
}
