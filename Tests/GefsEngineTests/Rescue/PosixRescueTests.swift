import GefsCrash
import GefsFormat
import GefsMend
import Testing

@testable import GefsEngine

/// Rescue of volumes with hard links and extended attributes.
@Suite struct PosixRescueTests {
    private func rescue(_ image: MemoryImage) throws -> Rescue {
        try Rescue(MemoryDevice(image, isReadOnly: true), options: Rescue.Options())
    }

    @Test(arguments: RandomWorkload.seeds([5]))
    func `links come out as the file under each name, with attributes`(seed: UInt64) throws {
        let workload = try RescueWorkload(seed: seed, steps: 150, features: .posix)
        for hit in [[], workload.blocks(of: .superblock)] {
            let rescue = try rescue(workload.zeroed(hit))
            for (label, model) in workload.labels {
                let (sink, report) = try #require(try rescue.copied(label))
                #expect(report.isWhole, "seed \(seed), \(label)")
                var files: [String: [UInt8]] = [:]
                for case (let path, .file(let content)) in model.items { files[path] = content }
                let isEqual = sink.files == files
                #expect(isEqual, "seed \(seed), \(label)")
                #expect(sink.attributes == model.attributes, "seed \(seed), \(label)")
            }
        }
    }

    @Test(arguments: RandomWorkload.seeds([6, 7]))
    func `what comes out as whole of a damaged disk was a file once`(seed: UInt64) throws {
        let workload = try RescueWorkload(seed: seed, steps: 150, features: .posix)
        var chance = SeededGenerator(seed: seed)
        for _ in 0..<12 {
            let hit = Set(
                workload.blocks.filter { _ in Int.random(in: 0..<12, using: &chance) == 0 })
            let rescue = try rescue(workload.zeroed(hit))
            for tree in rescue.trees.prefix(4) {
                let (sink, _) = try #require(
                    try rescue.copied(String(decoding: tree.name, as: UTF8.self)))
                for (path, file) in sink.told
                where !file.isDirectory && file.state == .whole && path != "users" {
                    #expect(workload.contents.contains(sink.files[path] ?? []), "\(path)")
                }
            }
        }
    }

    @Test func `a file whose own entry is lost goes to lost+found`() throws {
        let volume = try TestVolume(features: .posix)
        // Entries of names and of files lie in different leaves.
        for index in 0..<600 {
            try volume.makeFile("file-with-a-name-\(index)", [1, 2, 3])
            try volume.link("file-with-a-name-\(index)", "link-with-a-name-\(index)")
        }
        try volume.sync()
        let image = volume.device.image()
        var found: Set<UInt64> = []
        for block in stride(from: 0, to: image.byteCount, by: Geometry.blockBytes) {
            let bytes = image.bytes(at: block, count: Geometry.blockBytes)
            guard bytes[0] == 0, bytes[1] == UInt8(BlockKind.leaf.rawValue) else { continue }
            let isInodes = bytes.withUnsafeBytes { bytes in
                bytes.baseAddress.map { base in
                    let leaf = LeafView(unchecked: base)
                    return leaf.count > 10 && leaf.key(5).first == KeyKind.inode.rawValue
                } ?? false
            }
            if isInodes { found.insert(block) }
        }
        try #require(!found.isEmpty)
        var damaged = image
        let zeros = [UInt8](repeating: 0, count: Geometry.blockBytes)
        for block in found { zeros.withUnsafeBytes { damaged.write($0, at: block) } }
        let (sink, report) = try #require(try rescue(damaged).copied("main"))
        #expect(!report.isWhole)
        #expect(!sink.files.isEmpty)
    }
}
