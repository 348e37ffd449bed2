import GefsCrash
import GefsFormat
import Testing

@testable import GefsEngine

/// A disk that acknowledges writes and loses them, or puts them elsewhere: whatever is read later is
/// what was written at some time, or an error.
@Suite(.timeLimit(.minutes(10)))
struct SilentFaultTests {
    @Test(arguments: [DeviceFault.Kind.lostWrite, .misdirectedWrite])
    func `what a disk has lost is an error for those who read it, and never wrong data`(
        kind: DeviceFault.Kind
    ) throws {
        var counts = (hit: 0, errors: 0, unopened: 0)
        for seed in RandomWorkload.seeds(Array(1...UInt64(FailingDiskTests.runs(3)))) {
            var run = try SilentRun(kind: kind, seed: seed)
            try run.work()
            if run.wasHit { counts.hit += 1 }
            guard let errors = try run.look() else {
                counts.unopened += 1
                continue
            }
            counts.errors += errors
        }
        print(
            "\(kind): \(counts.hit) runs met it, \(counts.errors) files or directories could not be "
                + "read, \(counts.unopened) volumes were refused")
    }

    @Test
    func `a lost write of file data is found by the next read, and the rest goes on`() throws {
        var options = TestVolume.options
        options.cacheBytes = 1 << 18
        let volume = try TestVolume(options: options)
        try volume.makeFile("whole", [UInt8](repeating: 1, count: 100_000))
        try volume.fileSystem.volume.syncAndReclaim()
        try volume.makeFile("lost", [UInt8](repeating: 2, count: 100_000))
        // The first write of the next commit is that of the data.
        volume.device.inject(DeviceFault(.write, .lose))
        try volume.sync()
        #expect(volume.device.faultHits.count == 1)
        try volume.reopen(options: options)
        let error = #expect(throws: FileError.self) { try volume.read("lost") }
        guard case .corrupt(let block)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(block.address.rawValue == volume.device.faultHits[0].offset)
        let isRight = try volume.read("whole") == [UInt8](repeating: 1, count: 100_000)
        #expect(isRight)
        try volume.makeFile("other", [3])
        try volume.remove("lost")
        try volume.sync()
        #expect(volume.fileSystem.failure == nil)
        try volume.fileSystem.close()
        #expect(try VolumeCheck.leaks(volume) == 0)
    }
}

/// One volume on a disk that loses something.
private struct SilentRun {
    private let volume: TestVolume
    private var workload: FaultWorkload
    private var history: [FaultWorkload.State] = []
    private let kind: DeviceFault.Kind
    private let seed: UInt64

    init(kind: DeviceFault.Kind, seed: UInt64) throws {
        self.kind = kind
        self.seed = seed
        volume = try TestVolume()
        workload = FaultWorkload(seed: seed)
        try workload.begin(volume)
        var generator = SeededGenerator(seed: seed &* 31 &+ 7)
        volume.device.inject(
            DeviceFault.random(
                kind, within: 30, deviceBytes: volume.device.byteCount, using: &generator))
    }

    var wasHit: Bool { !volume.device.faultHits.isEmpty }

    mutating func work() throws {
        history.append(workload.present)
        for _ in 0..<100 {
            do {
                try workload.step(volume)
            } catch let error as FileError {
                try #require(
                    error != .volumeFull && error != .notFound, "\(kind), seed \(seed): \(error)")
                break
            }
            history.append(workload.present)
        }
        if let attempted = workload.attempted { history.append(attempted) }
        volume.device.repair()
        // It may well have noticed.
        try? volume.fileSystem.close()
    }

    /// How many files and directories cannot be read; nil where the volume does not open.
    func look() throws -> Int? {
        let image = volume.device.image(after: volume.device.eventCount)
        let survivor: TestVolume
        do {
            survivor = try TestVolume(image: image)
        } catch let error as FileError {
            print("\(kind), seed \(seed): \(error)")
            return nil
        }
        var errors = 0
        for label in try survivor.fileSystem.labels() {
            let name = String(decoding: label.name, as: UTF8.self)
            guard name != "adm", name != "empty" else { continue }
            survivor.label = name
            errors += try look(at: "", of: survivor)
        }
        // Work goes on, or is refused with a reason.
        survivor.label = "main"
        do {
            try survivor.makeFile("afterwards", [1])
            try survivor.sync()
            #expect(try survivor.read("afterwards") == [1])
        } catch let error as FileError {
            print("\(kind), seed \(seed): \(error)")
        }
        try? survivor.fileSystem.close()
        _ = Checker.check(
            MemoryDevice(survivor.device.image(after: survivor.device.eventCount), isReadOnly: true)
        )
        return errors
    }

    private func look(at directory: String, of volume: TestVolume) throws -> Int {
        let names: [String]
        do {
            names = try volume.list(directory, bytesPerCall: 700)
        } catch is FileError {
            return 1
        }
        var errors = 0
        for name in names {
            let path = directory.isEmpty ? name : directory + "/" + name
            do {
                if try volume.status(path).mode & ModeBits.directory != 0 {
                    errors += try look(at: path, of: volume)
                } else {
                    let content = FileModel.Item.file(try volume.read(path))
                    let label = volume.label
                    let wasThere = history.contains { $0[label]?.items[path] == content }
                    try #require(wasThere, "\(kind), seed \(seed): \(label), \(path): wrong data")
                }
            } catch is FileError {
                errors += 1
            }
        }
        return errors
    }
}
