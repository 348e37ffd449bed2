import GefsFormat
import Testing

@testable import GefsEngine

/// What it costs to say what labels hold.
struct SpaceCostTests {
    private static let labelCount = 400

    /// A tree of many files and a branch with many snapshots, each with changes of its own.
    private func makeImage() throws -> MemoryImage {
        let volume = try TestVolume()
        for index in 0..<4000 { try volume.makeFile("f\(index)", [1, 2, 3]) }
        for index in 0..<Self.labelCount {
            try volume.write("f\(index * 10)", [4], at: 0)
            try volume.fileSystem.change(
                [.snapshot(of: Array("main".utf8), as: Array("s\(index)".utf8))],
                as: volume.caller)
        }
        try volume.fileSystem.close()
        return volume.device.image()
    }

    @Test
    func `sizes of labels cost the deadlists, and nothing once they are known`() throws {
        let device = CountingDevice(try makeImage())
        let fileSystem = try FileSystem.open(device, options: TestVolume.options)
        let opened = device.blocksRead
        let short = try fileSystem.labels()
        #expect(short.count == Self.labelCount + 3)
        #expect(device.blocksRead == opened)
        let all = try fileSystem.labelSpace()
        #expect(all.count == short.count)
        let first = device.blocksRead - opened
        let explained = try fileSystem.explainSpace()
        let lists = Int(explained.deadlists + explained.snapshotTree) / Geometry.blockBytes
        #expect(first <= lists)
        let before = device.blocksRead
        let again = try fileSystem.labelSpace()
        #expect(again == all)
        let dry = try fileSystem.deletionSpace(of: (0..<100).map { Array("s\($0)".utf8) })
        #expect(dry.freedBytes > 0)
        #expect(try fileSystem.thinning(freeing: 1 << 20).freedBytes >= 1 << 20)
        #expect(device.blocksRead == before)
        try fileSystem.close()
    }

    @Test(
        .enabled(if: ReferenceImages.folder != nil, Comment(rawValue: ReferenceImages.absence)))
    func `trees that nobody has counted are counted once, and that is written down`() throws {
        let image = try ReferenceImages.withImage("c-snapshots") { path in
            let device = try FileDevice(path: path, access: .readOnly)
            defer { device.close() }
            var bytes = [UInt8](repeating: 0, count: Int(device.byteCount))
            try bytes.withUnsafeMutableBytes { try device.read(at: 0, into: $0) }
            return MemoryImage(bytes)
        }
        let device = CountingDevice(image)
        let fileSystem = try FileSystem.open(device, options: TestVolume.options)
        let first = try fileSystem.labelSpace()
        try fileSystem.sync(as: Caller(user: .adm))
        try fileSystem.close()
        let copy = CountingDevice(device.image)
        let again = try FileSystem.open(copy, options: TestVolume.options)
        let before = copy.blocksRead
        let second = try again.labelSpace()
        #expect(second.map(\.referencedBytes) == first.map(\.referencedBytes))
        #expect(copy.blocksRead - before < 40)
        try again.close()
    }
}
