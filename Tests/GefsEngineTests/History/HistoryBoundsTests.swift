import GefsCrash
import GefsFormat
import Testing

@testable import GefsEngine

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Histories whose deletions take many commits, in both dialects, with power cuts in the middle.
@Suite
struct HistoryBoundsTests {
    struct Setting: CustomTestStringConvertible, Sendable {
        var dialect: Dialect
        var pruneBlocksMax: Int
        var backlogBlocksMax: Int
        /// Files that are there from the beginning, so that trees have pivots with full buffers.
        var files = 0

        var testDescription: String {
            "\(dialect), \(pruneBlocksMax) blocks, \(backlogBlocksMax) lists, \(files) files"
        }

        var options: VolumeOptions {
            var options = TestVolume.options
            options.pruneBlocksMax = pruneBlocksMax
            options.backlogBlocksMax = backlogBlocksMax
            options.flushBytes = 1 << 20
            return options
        }

        func makeVolume() throws -> TestVolume {
            let memory = MemoryDevice(byteCount: TestVolume.deviceBytes)
            try Ream.run(device: memory, user: "glenda", dialect: dialect)
            return try TestVolume(image: memory.image, options: options)
        }
    }

    static let settings = [
        Setting(dialect: .r, pruneBlocksMax: 1, backlogBlocksMax: 1),
        Setting(dialect: .n, pruneBlocksMax: 1, backlogBlocksMax: 1),
        Setting(dialect: .r, pruneBlocksMax: 7, backlogBlocksMax: 2),
        Setting(dialect: .n, pruneBlocksMax: 100_000, backlogBlocksMax: 48),
        Setting(dialect: .r, pruneBlocksMax: 1, backlogBlocksMax: 1, files: 700),
    ]

    /// How many histories of each setting: `GEFS_HISTORIES`.
    static let seeds = RandomWorkload.seeds(
        Array(1...(getenv("GEFS_HISTORIES").flatMap { UInt64(String(cString: $0)) } ?? 3)))

    @Test(arguments: settings, seeds)
    func `a history of small steps leaves what a model says, whenever the power fails`(
        setting: Setting, seed: UInt64
    ) throws {
        let place = "\(setting.testDescription), GEFS_SEED=\(seed)"
        let volume = try setting.makeVolume()
        var workload = HistoryWorkload(seed: seed)
        try workload.makeFiles(setting.files, on: volume)
        // A background commit may fall between any two changes.
        workload.changesPerStep = 1...1
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<Int.random(in: 10...60, using: &generator) { try workload.step(volume) }
        try volume.sync()
        try volume.device.startRecording()
        // What labels may be found as: a power cut undoes what was not committed.
        var states = [workload]
        for _ in 0..<Int.random(in: 1...20, using: &generator) {
            try workload.step(volume)
            states.append(workload)
        }
        for _ in 0..<3 {
            let count = volume.device.events.count
            let cut = Int.random(in: 0...count, using: &generator)
            let image = volume.device.crashImage(after: cut, seed: generator.next())
            try expectClean(image, setting, "\(place): cut after \(cut) of \(count)", isCut: true)
            let survivor = try TestVolume(image: image, options: setting.options)
            let found = try survivor.state()
            let index = states.firstIndex { $0.labels == found }
            try #require(index != nil, "\(place): cut after \(cut) of \(count)")
            // It goes on: as many steps again, then everything is deleted.
            var next = states[index ?? 0]
            for _ in 0..<8 { try next.step(survivor) }
            try survivor.reopen(options: setting.options)
            let again = try survivor.state()
            try #require(again == next.labels, "\(place): reopened after \(cut) of \(count)")
            try survivor.fileSystem.drainHistory()
            try survivor.fileSystem.close()
            try expectClean(
                survivor.device.image(), setting, place)
        }
    }

    @Test(arguments: [Dialect.r, .n], [1, 50])
    func `a deep tree is taken apart in steps, each of which gets on`(
        dialect: Dialect, blocksMax: Int
    ) throws {
        let setting = Setting(dialect: dialect, pruneBlocksMax: blocksMax, backlogBlocksMax: 1)
        let volume = try setting.makeVolume()
        try volume.change(.fork(of: Array("main".utf8), as: Array("work".utf8)))
        volume.label = "work"
        let block = [UInt8](repeating: 1, count: Geometry.blockBytes)
        for file in 0..<12 {
            try volume.makeFile("f\(file)")
            try volume.with("f\(file)") { handle in
                try volume.fileSystem.open(handle, OpenMode(.write), as: volume.caller)
                for index in 0..<250 {
                    try volume.write(handle, block, at: UInt64(index * Geometry.blockBytes))
                }
            }
        }
        try volume.sync()
        // Some of it lies in buffers of pivots.
        for file in 0..<12 { try volume.write("f\(file)", block, at: UInt64(file * 70_000)) }
        try volume.sync()
        let before = volume.fileSystem.volume.durableCommit
        try volume.change(.delete(Array("work".utf8)))
        try volume.fileSystem.drainHistory()
        let commits = volume.fileSystem.volume.durableCommit - before
        // A step takes at least a leaf's worth of keys.
        #expect(commits < 60, "\(commits) commits")
        try volume.fileSystem.close()
        let image = volume.device.image()
        try expectClean(image, setting, "")
        let report = Checker.check(image)
        #expect(report.totals.allocatedBlocks < 60)
    }

    /// Nothing is lost or shared by accident, and all counts are those of the dialect.
    private func expectClean(
        _ image: MemoryImage, _ setting: Setting, _ place: String, isCut: Bool = false
    ) throws {
        let report = Checker.check(image)
        let faults = report.findings.filter { finding in
            // Snapshots that are being taken apart have no label already.
            if isCut, case .snapshot(.unreferenced) = finding.what { return false }
            return finding.severity == .error
                || finding.severity == .warning && finding.isLasting
        }
        let text = faults.prefix(5).map { "\($0)" }.joined(separator: "; ")
        try #require(faults.isEmpty, "\(place): \(text)")
        try #require(report.totals.leakedBlocks == 0, "\(place)")
        let wrong = try DialectCounts.wrong(in: image, as: setting.dialect)
        try #require(wrong.isEmpty, "\(place): \(wrong.prefix(5))")
    }
}

extension Finding {
    /// Whether it is not only the trace of an interrupted commit, or of files being removed.
    fileprivate var isLasting: Bool {
        switch what {
        case .snapshot, .deadlist, .space: true
        case .volume, .arena, .block, .node, .files: false
        }
    }
}

/// What the records of a volume count, by the rules of its dialect. Source: FORMAT 11.
enum DialectCounts {
    /// What is wrong, in words.
    static func wrong(in image: MemoryImage, as dialect: Dialect) throws -> [String] {
        var options = TestVolume.options
        options.isReadOnly = true
        let volume = try TestVolume(image: image, options: options)
        let graph = volume.fileSystem.volume.history.snapshot()
        var wrong: [String] = []
        if volume.fileSystem.volume.dialect != dialect { wrong.append("dialect") }
        let records = graph.records
        for (generation, record) in records {
            let labels = graph.labels.values.count { $0.generation == generation }
            if Int(record.labelCount) != labels {
                wrong.append("\(generation): nlbl \(record.labelCount), not \(labels)")
            }
            let others = records.values.filter { $0.generation != .zero }
            let next = others.filter { $0.predecessor == generation }
            let forks = others.filter { $0.base == generation && startsLine($0) }
            let count = dialect == .n ? forks.count : next.count
            if Int(record.referenceCount) != count {
                wrong.append("\(generation): nref \(record.referenceCount), not \(count)")
            }
            if generation == .zero { continue }
            if dialect == .r, record.predecessor.isNone { wrong.append("\(generation): pred") }
            if dialect == .n, startsLine(record), !record.predecessor.isNone {
                wrong.append("\(generation): pred \(record.predecessor)")
            }
            if !record.predecessor.isNone, records[record.predecessor] == nil {
                wrong.append("\(generation): pred \(record.predecessor) is missing")
            }
            if records[record.base] == nil { wrong.append("\(generation): base is missing") }
            if !record.successor.isNone, records[record.successor]?.predecessor != generation {
                wrong.append("\(generation): succ \(record.successor)")
            }
            if record.successor.isNone, next.contains(where: { !startsLine($0) }) {
                wrong.append("\(generation): no succ")
            }
        }
        return wrong
    }

    private static func startsLine(_ record: SnapshotRecord) -> Bool {
        record.predecessor.isNone || record.predecessor == record.base
    }
}
