import GefsCrash
import GefsFormat
import Testing

@testable import GefsEngine

/// Disks on which two lines of snapshots have the same blocks, each for its own.
@Suite struct LineSeparationTests {
    private typealias State = HistoryWorkload.State
    private static let block = Geometry.blockBytes

    /// A volume with branches that share most of what they hold, closed.
    private func makeImage(seed: UInt64) throws -> (image: MemoryImage, state: State) {
        var random = SplitMix(seed: seed)
        let volume = try TestVolume()
        var branches = ["main"]
        for number in 0..<120 {
            try volume.makeFile(
                "file with a long name \(number)",
                [UInt8](repeating: UInt8(number), count: random.next(below: 3) * 9000))
        }
        for round in 0..<9 {
            let branch = branches[random.next(below: branches.count)]
            volume.label = branch
            for number in 0..<40 where random.next(below: 4) == 0 {
                try volume.write(
                    "file with a long name \(number * 3)", [UInt8](repeating: 7, count: Self.block),
                    at: UInt64(random.next(below: 3) * Self.block))
            }
            try volume.makeFile("new \(round)", [UInt8](repeating: 1, count: 20_000))
            let name = "state\(round)"
            if round % 3 == 1 {
                try volume.change(.fork(of: Array(branch.utf8), as: Array(name.utf8)))
                branches.append(name)
            } else {
                try volume.change(.snapshot(of: Array(branch.utf8), as: Array(name.utf8)))
            }
        }
        try volume.fileSystem.drainHistory()
        let state = try volume.state()
        try volume.fileSystem.close()
        return (volume.device.image(), state)
    }

    /// Changes the snapshot records of an image, with hashes that fit.
    private func rewrite(
        _ image: inout MemoryImage, _ body: ([SnapshotRecord]) -> [SnapshotRecord]
    ) throws {
        let pair = SuperblockPair(reading: MemoryDevice(image))
        guard case .success(var superblock) = pair.primary else { return }
        let root = superblock.snapshotTreeRoot.address.rawValue
        try #require(superblock.snapshotTreeHeight == 1)
        var bytes = image.bytes(at: root, count: Self.block)
        bytes.withUnsafeMutableBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            let leaf = LeafView(unchecked: base)
            var places: [(record: SnapshotRecord, start: UnsafeRawPointer)] = []
            for index in 0..<leaf.count where leaf.key(index).first == KeyKind.snapshot.rawValue {
                guard let start = leaf.value(index).baseAddress,
                    let record = try? SnapshotRecord(decoding: leaf.value(index))
                else { continue }
                places.append((record, start))
            }
            for (place, record) in zip(places, body(places.map(\.record))) {
                let offset = place.start - UnsafeRawPointer(base)
                (base + offset).copyMemory(
                    from: record.encoded(), byteCount: record.encoded().count)
            }
            superblock.snapshotTreeRoot.hash = MetroHash64.hash(UnsafeRawBufferPointer(bytes))
        }
        bytes.withUnsafeBytes { image.write($0, at: root) }
        let buffer = BlockBuffer()
        superblock.encode(into: buffer.mutableBytes)
        for address in [0, pair.backupAddress.rawValue] { image.write(buffer.bytes, at: address) }
    }

    /// Records that all begin a line of their own, from the empty one.
    private static func withoutLinks(_ records: [SnapshotRecord]) -> [SnapshotRecord] {
        records.map {
            var record = $0
            record.predecessor = .zero
            record.base = .zero
            record.successor = .none
            return record
        }
    }

    @Test(arguments: 1...6 as ClosedRange<UInt64>)
    func `a repair gives each line blocks of its own, and no label loses anything`(
        seed: UInt64
    ) throws {
        var (image, state) = try makeImage(seed: seed)
        #expect(!Checker.check(image).isBroken)
        var random = SplitMix(seed: seed)
        try rewrite(&image) { records in
            var records = records
            guard seed > 2 else { return Self.withoutLinks(records) }
            let forks = records.indices.filter { records[$0].predecessor != .zero }
            for place in forks where random.next(below: 3) == 0 {
                records[place] = Self.withoutLinks([records[place]])[0]
            }
            return records
        }
        #expect(Checker.check(image).count(of: "block.ownedTwice") > 0)
        let device = MemoryDevice(image)
        let repair = DeviceRepair.plan(device)
        #expect(repair.isComplete, "\(repair.obstacle ?? "")")
        try repair.apply(to: device)
        let report = Checker.check(device)
        #expect(!DeviceRepair.isWrong(report), "\(report.findings.prefix(5))")
        // Whichever label goes, the others lose nothing by it.
        let volume = try TestVolume(image: device.image)
        #expect(try volume.state() == state)
        var names = state.keys.filter { $0 != "main" }.sorted().shuffled(using: &random)
        names.append("main")
        for name in names {
            volume.label = name == "main" ? names[0] : "main"
            try volume.change(.delete(Array(name.utf8)))
            state[name] = nil
            try volume.fileSystem.drainHistory()
            try volume.reopen()
            #expect(try volume.state() == state, "after \(name) of \(names)")
            // What takes the place of blocks that were given back.
            guard name != "main" else { break }
            try volume.makeFile("more \(name)", [UInt8](repeating: 3, count: 200_000))
            state = try volume.state()
        }
        try volume.fileSystem.close()
        let last = Checker.check(volume.device.image())
        #expect(!last.isBroken, "\(last.findings.prefix(5))")
    }

    @Test func `a label that has the tree of another one gets one of its own`() throws {
        var (image, state) = try makeImage(seed: 3)
        try rewrite(&image) { records in
            // The tree of the newest snapshot under a fork of an old one.
            guard let newest = records.last else { return records }
            return records.map {
                var record = $0
                if record.predecessor != .zero, record.base == record.predecessor {
                    record.root = newest.root
                    record.height = newest.height
                }
                return record
            }
        }
        let kinds = Checker.check(image).counts.map(\.kind)
        #expect(
            kinds.contains { ["block.ownedTwice", "block.bornLater"].contains($0) }, "\(kinds)")
        let device = MemoryDevice(image)
        let repair = DeviceRepair.plan(device)
        #expect(repair.isComplete, "\(repair.obstacle ?? "")")
        try repair.apply(to: device)
        let report = Checker.check(device)
        #expect(!DeviceRepair.isWrong(report), "\(report.findings.prefix(5))")
        let volume = try TestVolume(image: device.image)
        let now = try volume.state()
        for (label, files) in now where state[label] != files {
            #expect(state.values.contains(files), "\(label) holds what no label held")
        }
        state = now
        let forks = state.keys.filter { $0 != "main" }.sorted()
        for name in forks {
            try volume.change(.delete(Array(name.utf8)))
            state[name] = nil
            try volume.fileSystem.drainHistory()
            try volume.reopen()
            #expect(try volume.state() == state, "after \(name)")
        }
        try volume.fileSystem.close()
        #expect(!Checker.check(volume.device.image()).isBroken)
    }
}
