import GefsFormat
import Testing

@testable import GefsEngine

/// The original's snapshots, deleted by us, all at once and in the smallest steps.
@Suite(.enabled(if: ReferenceImages.folder != nil, Comment(rawValue: ReferenceImages.absence)))
struct HistoryReferenceTests {
    private static let names = ReferenceImages.names.filter { !$0.hasSuffix("a-fresh") }

    /// What a label's tree holds: every key and value, the pointers to its data among them.
    private func digests(_ fileSystem: FileSystem) throws -> [[UInt8]: UInt64] {
        var digests: [[UInt8]: UInt64] = [:]
        for info in try fileSystem.labels() {
            let tree = try fileSystem.pin(info.name)
            var bytes: [UInt8] = []
            var digest: UInt64 = 0
            var scan = [UInt8]().withUnsafeBytes {
                Tree.Scan(
                    root: tree.root, source: fileSystem.volume.reader, from: $0, mayBlock: true)
            }
            while let item = try scan.next() {
                bytes.removeAll(keepingCapacity: true)
                bytes.append(contentsOf: item.key)
                bytes.append(contentsOf: item.value)
                digest = bytes.withUnsafeBytes { MetroHash64.hash($0) } &+ digest &* 31
            }
            digests[info.name] = digest
        }
        return digests
    }

    private func leakedBlocks(_ report: CheckReport) -> Set<BlockAddress> {
        var addresses: Set<BlockAddress> = []
        for range in report.leakedRanges {
            for byte in stride(
                from: range.lowerBound, to: range.upperBound, by: Geometry.blockBytes)
            {
                addresses.insert(BlockAddress(rawValue: byte))
            }
        }
        return addresses
    }

    private func check(_ path: String) throws -> CheckReport {
        let device = try FileDevice(path: path, access: .readOnly)
        defer { device.close() }
        var options = CheckOptions()
        options.listsLeaks = true
        return Checker.check(device, options: options)
    }

    /// Blocks that a snapshot holds, and the next one not, and that the original put on no list.
    ///
    /// They leak if the first of the two goes before the other, whoever deletes it.
    private func unlistedBlocks(_ path: String) throws -> Set<BlockAddress> {
        let fileSystem = try FileSystem.open(
            try FileDevice(path: path, access: .readOnly), options: TestVolume.options)
        defer { try? fileSystem.close() }
        let holders = try BlockHolders(fileSystem)
        let graph = fileSystem.volume.history.snapshot()
        var unlisted: Set<BlockAddress> = []
        for record in graph.records.values {
            guard let next = graph.successor(of: record)?.generation else { continue }
            var dead = (holders.held[record.generation] ?? []).subtracting(holders.held[next] ?? [])
            for list in try fileSystem.volume.deadlists(of: next) {
                try fileSystem.volume.walkChain(list.record) { block, _ in
                    dead.subtract(block.deadAddresses)
                }
            }
            unlisted.formUnion(dead)
        }
        return unlisted
    }

    /// Deletes all labels but the file system's own: what leaks is what the original lost.
    private func deleteAll(_ path: String, seed: UInt64, blocksMax: Int) throws {
        let lost = leakedBlocks(try check(path)).union(try unlistedBlocks(path))
        var options = TestVolume.options
        options.pruneBlocksMax = blocksMax
        options.backlogBlocksMax = blocksMax
        func open() throws -> FileSystem {
            try FileSystem.open(try FileDevice(path: path, access: .readWrite), options: options)
        }
        var fileSystem = try open()
        let caller = Caller(user: .adm, isPermissive: true)
        var expected = try digests(fileSystem)
        var generator = SeededGenerator(seed: seed)
        let names = expected.keys.filter { !LabelName.reserved.contains($0) }
            .sorted { $0.lexicographicallyPrecedes($1) }.shuffled(using: &generator)
        for (index, name) in names.enumerated() {
            try fileSystem.change([.delete(name)], as: caller)
            expected[name] = nil
            // Stopped in the middle of it, now and then.
            guard index % 8 == 3 || names.count < 12 else { continue }
            try fileSystem.close()
            fileSystem = try open()
            let found = try digests(fileSystem)
            try #require(found == expected, "seed \(seed), \(index)")
        }
        try fileSystem.drainHistory()
        try fileSystem.close()
        let report = try check(path)
        #expect(report.errorCount == 0)
        #expect(report.totals.snapshots == 2)
        #expect(report.totals.deadlists == 0)
        let ours = leakedBlocks(report).subtracting(lost)
        #expect(ours.isEmpty, "seed \(seed), \(blocksMax) blocks at once")
    }

    @Test(arguments: names)
    func `in small steps and all at once, only the labels that are deleted are touched`(
        name: String
    ) throws {
        let seed = storeTestSeed()
        for blocksMax in [100_000, 1] {
            try ReferenceImages.withImage(name) { path in
                try deleteAll(path, seed: seed, blocksMax: blocksMax)
            }
        }
    }
}
