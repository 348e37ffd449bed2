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

    /// Deletes all labels but the file system's own; returns the blocks that are leaked then.
    private func deleteAll(_ path: String, seed: UInt64, blocksMax: Int) throws -> Int {
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
        let device = try FileDevice(path: path, access: .readOnly)
        defer { device.close() }
        let report = Checker.check(device)
        #expect(report.errorCount == 0)
        #expect(report.totals.snapshots == 2)
        #expect(report.totals.deadlists == 0)
        return report.totals.leakedBlocks
    }

    @Test(arguments: names)
    func `small steps delete the original's snapshots as one does, and leave the others alone`(
        name: String
    ) throws {
        let seed = storeTestSeed()
        print("GEFS_SEED=\(seed)")
        let leaks = try [100_000, 1].map { blocksMax in
            try ReferenceImages.withImage(name) { path in
                try deleteAll(path, seed: seed, blocksMax: blocksMax)
            }
        }
        #expect(leaks[0] == leaks[1], "\(name), seed \(seed)")
    }
}
