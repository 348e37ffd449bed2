import GefsCrash
import GefsFormat
import Testing

@testable import GefsEngine

/// Damage in snapshots and deadlists costs what it hits, and nothing else.
@Suite
struct HistoryDamageTests {
    private static let block = Geometry.blockBytes

    private func junk(_ addresses: some Sequence<BlockAddress>, in image: inout MemoryImage) {
        let bytes = [UInt8](repeating: 0x5A, count: Self.block)
        for address in addresses {
            bytes.withUnsafeBytes { image.write($0, at: address.rawValue) }
        }
    }

    /// Addresses of the nodes of a label's tree.
    private func nodes(_ label: String, in dump: VolumeDump) -> Set<BlockAddress> {
        let tree = dump.tree(label: Array(label.utf8))
        return Set(
            (tree?.nodes ?? []).compactMap {
                UInt64($0.address.dropFirst(2), radix: 16).map { BlockAddress(rawValue: $0) }
            })
    }

    /// Addresses of the blocks that hold deadlists.
    private func listBlocks(_ volume: Volume) throws -> [BlockAddress] {
        var blocks: [BlockAddress] = []
        for record in volume.history.records() {
            for list in try volume.deadlists(of: record.generation) {
                try volume.walkChain(list.record) { _, address in blocks.append(address) }
            }
        }
        return blocks.sorted()
    }

    @Test(arguments: RandomWorkload.seeds(Array(1...12)))
    func `snapshots and lists that cannot be read are deleted, and the rest stays as it is`(
        seed: UInt64
    ) throws {
        let volume = try TestVolume()
        var workload = HistoryWorkload(seed: seed)
        for _ in 0..<120 { try workload.step(volume) }
        try volume.sync()
        let lists = try listBlocks(volume.fileSystem.volume)
        try volume.fileSystem.close()
        var image = volume.device.image()
        let dump = try VolumeDump(MemoryDevice(image, isReadOnly: true))
        var sound: Set<BlockAddress> = nodes("adm", in: dump).union(nodes("empty", in: dump))
        for name in workload.branches.keys { sound.formUnion(nodes(name, in: dump)) }
        var generator = SeededGenerator(seed: seed)
        let snapshots = workload.snapshots.keys.sorted()
        let own = Set(snapshots.flatMap { nodes($0, in: dump) }).subtracting(sound).sorted()
        let bad =
            own.shuffled(using: &generator).prefix(2) + lists.shuffled(using: &generator).prefix(4)
        junk(bad, in: &image)
        let hit = Set(snapshots.filter { !nodes($0, in: dump).isDisjoint(with: bad) })

        var options = TestVolume.options
        options.pruneBlocksMax = seed % 2 == 0 ? 3 : 100_000
        options.backlogBlocksMax = 1
        let survivor = try TestVolume(image: image, options: options)
        var left = workload.labels
        for name in left.keys.sorted().shuffled(using: &generator) where name != "main" {
            try survivor.change(.delete(Array(name.utf8)))
            left[name] = nil
            survivor.label = left.keys.sorted().first { workload.branches[$0] != nil } ?? "main"
            if workload.branches[survivor.label] != nil {
                let path = "new \(left.count)"
                let content = [UInt8](repeating: 1, count: 40_000)
                try survivor.makeFile(path, content)
                left[survivor.label]?.items[path] = .file(content)
            }
            try survivor.sync()
            try #require(survivor.fileSystem.failure == nil, "seed \(seed): \(name)")
            for (label, model) in left where !hit.contains(label) {
                survivor.label = label
                let found = try FileModel(of: survivor)
                try #require(model.difference(from: found) == nil, "seed \(seed): \(label)")
            }
        }
        try survivor.fileSystem.drainHistory()
        let report = try survivor.fileSystem.repair()
        #expect(report.check.errorCount == 0, "seed \(seed)")
        #expect(report.check.totals.leakedBlocks == 0, "seed \(seed)")
        try survivor.fileSystem.close()
        #expect(try VolumeCheck.leaks(survivor) == 0, "seed \(seed)")
    }

    @Test
    func `a list of the present state that cannot be read lets commits go on`() throws {
        let volume = try TestVolume()
        let content = [UInt8](repeating: 1, count: 20 * Self.block)
        try volume.makeFile("a", content)
        try volume.change(.snapshot(of: Array("main".utf8), as: Array("s".utf8)))
        try volume.write("a", [UInt8](repeating: 2, count: 5 * Self.block), at: 0)
        try volume.sync()
        let lists = try listBlocks(volume.fileSystem.volume)
        #expect(!lists.isEmpty)
        try volume.fileSystem.close()
        var image = volume.device.image()
        junk(lists, in: &image)
        let survivor = try TestVolume(image: image)
        // Blocks of the same births die again: they belong on the same lists.
        try survivor.write("a", [UInt8](repeating: 3, count: 15 * Self.block), at: 5 * 16384)
        try survivor.sync()
        try survivor.write("a", [9], at: 0)
        try survivor.sync()
        #expect(survivor.fileSystem.failure == nil)
        survivor.label = "s"
        let isWhole = try survivor.read("a") == content
        #expect(isWhole)
        try survivor.change(.delete(Array("s".utf8)))
        try survivor.fileSystem.drainHistory()
        try survivor.fileSystem.close()
        let report = Checker.check(survivor.device.image())
        #expect(report.errorCount == 0)
        // What was on the lists before; the 15 blocks that came after are free.
        #expect(report.totals.leakedBlocks > 0)
        #expect(report.totals.leakedBlocks <= 5 + 2 + lists.count)
    }

    @Test
    func `a branch does not go back to a tree that cannot be read`() throws {
        let volume = try TestVolume()
        for index in 0..<600 { try volume.makeFile("file \(index)", [1]) }
        try volume.change(.snapshot(of: Array("main".utf8), as: Array("s".utf8)))
        for index in 0..<600 { try volume.remove("file \(index)") }
        try volume.sync()
        try volume.fileSystem.close()
        var image = volume.device.image()
        let dump = try VolumeDump(MemoryDevice(image, isReadOnly: true))
        junk(nodes("s", in: dump).subtracting(nodes("main", in: dump)), in: &image)
        let survivor = try TestVolume(image: image)
        try survivor.makeFile("b", [1])
        let handle = try survivor.walk("b")
        _ = try? survivor.change(
            .rollback(branch: Array("main".utf8), to: Array("s".utf8), keeping: Array("k".utf8)))
        survivor.fileSystem.close(handle)
        #expect(survivor.fileSystem.failure == nil)
        try survivor.change(.fork(of: Array("empty".utf8), as: Array("new".utf8)))
        survivor.label = "new"
        try survivor.makeFile("c", [2])
        try survivor.sync()
        #expect(survivor.fileSystem.failure == nil)
    }
}
