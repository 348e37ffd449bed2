import GefsCrash
import GefsFormat
import GefsMend
import Testing

@testable import GefsEngine

@Suite
struct RescueTests {
    static let seeds = RandomWorkload.seeds([2])

    private func rescue(
        _ image: MemoryImage, unverified: Bool = false
    ) throws -> Rescue {
        var options = Rescue.Options()
        options.usesUnverified = unverified
        return try Rescue(MemoryDevice(image, isReadOnly: true), options: options)
    }

    /// All labels come out, and what was not hit comes out whole.
    private func expectLabels(
        _ workload: RescueWorkload, _ image: MemoryImage, hit: Set<UInt64>, _ note: Comment
    ) throws {
        let rescue = try rescue(image)
        let names = Set(rescue.trees.map { String(decoding: $0.name, as: UTF8.self) })
        for label in workload.labels.keys.sorted() {
            try #require(names.contains(label), "\(note): label \(label) is missing")
            let (sink, _) = try #require(try rescue.copied(label))
            _ = try workload.compare(label, sink, hit: hit, note)
        }
    }

    @Test(arguments: seeds)
    func `a whole disk comes out whole, and so without superblocks, logs and headers`(
        seed: UInt64
    ) throws {
        let workload = try RescueWorkload(seed: seed)
        let whole = try rescue(workload.image)
        for label in workload.labels.keys.sorted() {
            let (sink, report) = try #require(try whole.copied(label))
            let outcome = try workload.compare(label, sink, hit: [], "whole, seed \(seed)")
            #expect(outcome.whole == outcome.files)
            #expect(report.isWhole, "seed \(seed), \(label)")
            #expect(report.wholeFiles == outcome.files)
            #expect(sink.files.count == outcome.files)
        }
        let superblocks = workload.blocks(of: .superblock)
        #expect(superblocks.count == 2)
        let logs = workload.blocks(of: .allocationLog)
        let headers = workload.blocks(of: .arena)
        #expect(headers.count == 16)
        for hit in [superblocks, logs, headers, superblocks.union(logs).union(headers)] {
            try expectLabels(workload, workload.zeroed(hit), hit: [], "seed \(seed)")
        }
    }

    @Test(arguments: seeds)
    func `without the root of a branch its files come from what is left below`(
        seed: UInt64
    ) throws {
        let workload = try RescueWorkload(seed: seed)
        let root = try #require(workload.roots[workload.branch])
        let hit: Set<UInt64> = [root.address.rawValue]
        let rescue = try rescue(workload.zeroed(hit), unverified: true)
        let (sink, _) = try #require(try rescue.copied(workload.branch))
        _ = try workload.compare(workload.branch, sink, hit: hit, "root, seed \(seed)")
        let model = try #require(workload.labels[workload.branch])
        let right = sink.files.count { model.items[$0.key] == .file($0.value) }
        let total = model.files.count
        print("root gone, seed \(seed): \(right) of \(total) files as they were")
        for label in workload.labels.keys.sorted() where label != workload.branch {
            let (sink, _) = try #require(try rescue.copied(label))
            _ = try workload.compare(label, sink, hit: hit, "root, seed \(seed)")
        }
    }

    @Test(arguments: seeds)
    func `without the snapshot tree the newest tree comes out without a name`(
        seed: UInt64
    ) throws {
        let workload = try RescueWorkload(seed: seed)
        let hit = workload.snapshotNodes()
        let rescue = try rescue(workload.zeroed(hit))
        let (sink, _) = try #require(try rescue.copied("recovered"))
        workload.checkSound(sink, "no snapshot tree, seed \(seed)")
        let isKnown = workload.labels.values.contains { model in
            let files = Dictionary(
                uniqueKeysWithValues: model.files.map { ($0, model.items[$0]) })
            return files.count == sink.files.count
                && files.allSatisfy { path, item in
                    sink.files[path].map { item == .file($0) } ?? false
                }
        }
        #expect(isKnown, "seed \(seed): no label was like that")
    }

    @Test(arguments: seeds)
    func `of the first half what lies there comes out`(seed: UInt64) throws {
        let workload = try RescueWorkload(seed: seed)
        // An odd length: it ends in the middle of a block.
        let length = workload.image.byteCount / 2 + 777
        var image = workload.image
        image.resize(to: length)
        let hit = workload.behind(length)
        let rescue = try rescue(image, unverified: true)
        for label in workload.labels.keys.sorted() {
            guard let (sink, _) = try rescue.copied(label) else { continue }
            _ = try workload.compare(label, sink, hit: hit, "half, seed \(seed)")
        }
        for tree in rescue.trees where tree.origin == .scan {
            let name = String(decoding: tree.name, as: UTF8.self)
            let (sink, _) = try #require(try rescue.copied(name))
            workload.checkSound(sink, "half, seed \(seed)")
        }
    }

    @Test(arguments: seeds, [false, true])
    func `of a disk with a tenth of its blocks gone all that is whole comes out`(
        seed: UInt64, unverified: Bool
    ) throws {
        let workload = try RescueWorkload(seed: seed)
        var generator = SeededGenerator(seed: seed &+ 77)
        for round in 0..<3 {
            let hit = Set(
                workload.blocks.filter { _ in Int.random(in: 0..<10, using: &generator) == 0 })
            let note: Comment = "a tenth, seed \(seed), round \(round)"
            let rescue = try rescue(workload.zeroed(hit), unverified: unverified)
            for tree in rescue.trees {
                let name = String(decoding: tree.name, as: UTF8.self)
                let (sink, _) = try #require(try rescue.copied(name))
                if workload.labels[name] != nil, tree.hasRoot {
                    _ = try workload.compare(name, sink, hit: hit, note)
                } else if name != "adm", name != "empty" {
                    workload.checkSound(sink, note)
                }
            }
        }
    }

    @Test(
        arguments: [
            (0, false), (1 << 20, true), (1 << 20, false), (63 * 512, true), (63 * 512, false),
        ] as [(UInt64, Bool)])
    func `a volume that begins in the middle of a larger image is found`(
        offset: UInt64, keepsSuperblock: Bool
    ) throws {
        let workload = try RescueWorkload(seed: 9, files: 150, steps: 15)
        let damaged =
            keepsSuperblock
            ? workload.image : workload.zeroed(workload.blocks(of: .superblock))
        var image = MemoryImage(byteCount: workload.image.byteCount + offset)
        for block in workload.blocks {
            let bytes = damaged.bytes(at: block, count: Geometry.blockBytes)
            bytes.withUnsafeBytes { image.write($0, at: block + offset) }
        }
        let rescue = try rescue(image)
        #expect(rescue.report.offset == Int64(offset))
        let (sink, _) = try #require(try rescue.copied(workload.branch))
        let outcome = try workload.compare(workload.branch, sink, hit: [], "offset \(offset)")
        #expect(outcome.whole == outcome.files)
    }

    @Test
    func `an image whose front is gone is found by what its nodes say`() throws {
        let workload = try RescueWorkload(seed: 10, files: 150, steps: 15)
        let cut: UInt64 = 5 << 20
        var image = MemoryImage(byteCount: workload.image.byteCount - cut)
        for block in workload.blocks where block >= cut {
            let bytes = workload.image.bytes(at: block, count: Geometry.blockBytes)
            bytes.withUnsafeBytes { image.write($0, at: block - cut) }
        }
        let rescue = try rescue(image)
        #expect(rescue.report.offset == -Int64(cut))
        let hit = Set(stride(from: 0, to: cut, by: Geometry.blockBytes))
        if let (sink, _) = try rescue.copied(workload.branch) {
            _ = try workload.compare(workload.branch, sink, hit: hit, "front gone")
        }
    }

    @Test
    func `what holds nothing of a volume is said to`() throws {
        #expect(throws: RescueError.nothingFound) {
            _ = try rescue(MemoryImage(byteCount: 1 << 20))
        }
        #expect(throws: RescueError.nothingFound) { _ = try rescue(MemoryImage(byteCount: 0)) }
        #expect(throws: RescueError.nothingFound) { _ = try rescue(MemoryImage(byteCount: 5000)) }
        var generator = SeededGenerator(seed: 4)
        let noise = (0..<(4 << 20)).map { _ in UInt8.random(in: 0...255, using: &generator) }
        #expect(throws: RescueError.nothingFound) { _ = try rescue(MemoryImage(noise)) }
    }

    @Test
    func `it stops when it is told to`() throws {
        let volume = try TestVolume()
        try volume.sync()
        let image = volume.device.image()
        #expect(throws: RescueError.stopped) {
            _ = try Rescue(MemoryDevice(image)) { _ in false }
        }
    }

    @Test
    func `bad sectors are skipped and told`() throws {
        let workload = try RescueWorkload(seed: 12, files: 150, steps: 15)
        let device = try RecordingDevice(image: workload.image)
        var generator = SeededGenerator(seed: 12)
        var hit: Set<UInt64> = []
        for block in workload.blocks where Int.random(in: 0..<12, using: &generator) == 0 {
            hit.insert(block)
            device.failTransfers(in: block + 4096..<block + 4608)
        }
        let rescue = try Rescue(device)
        let bytes = rescue.report.unreadable.reduce(0) { $0 + $1.count }
        #expect(bytes == hit.count * Geometry.blockBytes)
        for label in workload.labels.keys.sorted() {
            guard let (sink, _) = try rescue.copied(label),
                rescue.trees.first(where: { $0.name == Array(label.utf8) })?.hasRoot == true
            else { continue }
            _ = try workload.compare(label, sink, hit: hit, "bad sectors")
        }
    }
}
