import GefsCrash
import GefsFormat
import Testing

@testable import GefsEngine

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A disk that fails: what was acknowledged is there, what is served is right, and nothing hangs.
@Suite(.timeLimit(.minutes(10)))
struct FailingDiskTests {
    /// How many runs each test makes; `GEFS_FAULT_RUNS` for more.
    static func runs(_ standard: Int) -> Int {
        getenv("GEFS_FAULT_RUNS").flatMap { Int(String(cString: $0)) } ?? standard
    }

    private static func seeds(_ standard: Int) -> [UInt64] {
        let count = UInt64(runs(standard))
        return RandomWorkload.seeds(Array(1..<1 + count))
    }

    private static var options: VolumeOptions {
        var options = TestVolume.options
        // So little that reads reach the device, and that flushes come between commits.
        options.cacheBytes = 1 << 18
        options.flushBytes = 512 << 10
        return options
    }

    @Test(arguments: DeviceFault.Kind.reported + [.wrongData])
    func `whatever the device reports, what is acknowledged is there and what is read is right`(
        kind: DeviceFault.Kind
    ) throws {
        var failures = 0
        var hits = 0
        for seed in Self.seeds(2) {
            var options = Self.options
            // What a device has forgotten can be served from memory only.
            if kind == .forgettingFlush { options.cacheBytes = 64 << 20 }
            let run = try FaultRun(kind: kind, seed: seed, options: options)
            if try run.perform() { failures += 1 }
            hits += run.volume.device.faultHits.isEmpty ? 0 : 1
        }
        print("\(kind): \(hits) runs met a fault, \(failures) volumes stopped taking changes")
    }

    @Test(arguments: [EIO, ENOSPC])
    func `after a failed write every change and every sync says why, and reads go on`(
        errno: Int32
    ) throws {
        let volume = try TestVolume()
        try volume.makeFile("synced", [1, 2, 3])
        try volume.commitWholly()
        try volume.makeFile("dirty", [4, 5, 6])
        volume.device.inject(DeviceFault(.write, .fail(errno: errno)))
        let first = #expect(throws: FileError.self) { try volume.sync() }
        guard let first, case .device(.writeFailed(let offset, let count, errno)) = first else {
            Issue.record("\(String(describing: first))")
            return
        }
        #expect(offset > 0 && count > 0)
        #expect(volume.fileSystem.failure == first)
        // The device is well again, but the volume does not try its luck.
        let writes = volume.device.events.count
        for _ in 0..<3 { #expect(throws: first) { try volume.sync() } }
        #expect(throws: FileError.readOnly) { try volume.makeFile("more") }
        #expect(throws: FileError.readOnly) { try volume.write("synced", [9], at: 0) }
        #expect(throws: FileError.readOnly) { try volume.remove("synced") }
        #expect(throws: FileError.readOnly) {
            try volume.change(.snapshot(of: Array("main".utf8), as: Array("s".utf8)))
        }
        #expect(volume.device.events.count == writes)
        #expect(try volume.read("synced") == [1, 2, 3])
        #expect(try volume.read("dirty") == [4, 5, 6])
        #expect(try volume.list("").count == 2)
        // Whoever only looks is told, too.
        _ = try volume.fileSystem.lastCommit()
        _ = try volume.fileSystem.memoryState()
        #expect(volume.fileSystem.settledSpace().size > 0)
        #expect(throws: first) { try volume.fileSystem.close() }
        let survivor = try TestVolume(image: volume.device.image(after: writes))
        #expect(try survivor.read("synced") == [1, 2, 3])
        #expect(throws: FileError.notFound) { try survivor.read("dirty") }
    }

    @Test
    func `a failed flush is not tried again as if nothing had happened`() throws {
        let volume = try TestVolume()
        try volume.makeFile("a", [1])
        try volume.commitWholly()
        try volume.makeFile("b", [2])
        volume.device.inject(DeviceFault(.flush, .forget(errno: EIO)))
        #expect(throws: FileError.device(.flushFailed(errno: EIO))) { try volume.sync() }
        #expect(throws: FileError.device(.flushFailed(errno: EIO))) { try volume.sync() }
        #expect(volume.device.faultHits.count == 1)
        #expect(try volume.read("b") == [2])
    }

    @Test
    func `a commit that is durable is acknowledged even if its copies cannot be written`() throws {
        for kind in 0..<2 {
            let volume = try TestVolume()
            try volume.makeFile("a", [1])
            let backup = DeviceLayout.backupSuperblock(deviceBytes: TestVolume.deviceBytes)
            volume.device.inject(
                DeviceFault(
                    .write, .fail(errno: EIO), in: backup..<TestVolume.deviceBytes, count: nil))
            if kind == 0 {
                try volume.sync()
            } else {
                try volume.change(.snapshot(of: Array("main".utf8), as: Array("s".utf8)))
            }
            #expect(throws: FileError.self) {
                try volume.sync(); try volume.sync(); try volume.makeFile("b"); try volume.sync()
            }
            let survivor = try TestVolume(
                image: volume.device.image())
            #expect(try survivor.read("a") == [1])
            if kind == 1 {
                survivor.label = "s"
                #expect(try survivor.read("a") == [1])
            }
        }
    }

    @Test
    func `a device that shrinks or fills up fails like any other, and is not a full file system`()
        throws
    {
        for fills in [true, false] {
            let volume = try TestVolume()
            try volume.makeFile("a", [UInt8](repeating: 1, count: 100_000))
            try volume.commitWholly()
            if fills {
                volume.device.fillUp(after: 64 << 10)
            } else {
                volume.device.shrink(to: 1 << 20)
            }
            try volume.makeFile("b", [UInt8](repeating: 2, count: 300_000))
            let error = #expect(throws: FileError.self) { try volume.sync() }
            guard case .device(.writeFailed(_, _, ENOSPC))? = error else {
                Issue.record("\(String(describing: error))")
                continue
            }
            let isRight = try volume.read("b") == [UInt8](repeating: 2, count: 300_000)
            #expect(isRight)
            volume.device.repair()
            let survivor = try TestVolume(
                image: volume.device.image())
            #expect(try survivor.list("") == ["a"])
        }
    }

    @Test
    func `a label whose deletion failed with the device can be looked at`() throws {
        let volume = try TestVolume()
        try volume.makeFile("a", [1])
        let name = Array("s".utf8)
        try volume.change(.snapshot(of: Array("main".utf8), as: name))
        try volume.commitWholly()
        try volume.makeFile("b", [2])
        volume.device.inject(DeviceFault(.write, .fail(errno: EIO)))
        #expect(throws: FileError.self) { try volume.change(.delete(name)) }
        volume.label = "s"
        #expect(try volume.list("") == ["a"])
    }

    @Test
    func `those who wait when the device fails get the error, and nobody hangs`() throws {
        var options = TestVolume.options
        options.flushBytes = 64 << 10
        options.cacheBytes = 1 << 20
        let volume = try TestVolume(options: options)
        try volume.makeFile("a")
        volume.device.failWrites(after: 40)
        let threads = (0..<8).compactMap { number in
            WorkerThread {
                let view = TestVolume(sharing: volume, label: "main")
                let block = [UInt8](repeating: 7, count: 40_000)
                do {
                    try view.makeFile("f\(number)")
                    for round in 0..<10_000 {
                        try view.write("f\(number)", block, at: UInt64(round % 100 * 40_000))
                        if round % 7 == number % 7 { try view.sync() }
                        if round % 50 == 49 {
                            try view.change(
                                .snapshot(
                                    of: Array("main".utf8), as: Array("s\(number).\(round)".utf8)))
                        }
                    }
                } catch {}
            }
        }
        for thread in threads { thread.join() }
        #expect(volume.fileSystem.failure != nil)
        volume.fileSystem.drainReclaims()
        #expect(throws: FileError.self) { try volume.fileSystem.close() }
    }
}

extension TestVolume {
    /// Commits, and waits until the copies that a commit writes behind its acknowledgement are written.
    fileprivate func commitWholly() throws { try fileSystem.volume.syncAndReclaim() }
}

/// A run with faults of one kind, and what has to hold after it.
private final class FaultRun {
    let volume: TestVolume
    private var workload: FaultWorkload
    private let kind: DeviceFault.Kind
    private let seed: UInt64

    init(kind: DeviceFault.Kind, seed: UInt64, options: VolumeOptions) throws {
        self.kind = kind
        self.seed = seed
        volume = try TestVolume(options: options)
        workload = FaultWorkload(seed: seed)
        try workload.begin(volume)
        var generator = SeededGenerator(seed: seed &* 77 &+ 5)
        volume.device.inject(
            DeviceFault.random(
                kind, within: kind.operations, deviceBytes: volume.device.byteCount,
                using: &generator))
    }

    private var name: Comment { "\(kind), seed \(seed)" }

    /// Returns whether the volume has stopped taking changes.
    func perform() throws -> Bool {
        for round in 0..<150 {
            do {
                try workload.step(volume)
                // Reads of what has left the cache.
                if round % 10 == 0 { _ = try volume.state() }
            } catch let error as FileError {
                try #require(Self.isOfDisk(error), "\(kind), seed \(seed): \(error)")
                if volume.fileSystem.failure != nil { break }
                // That operation alone has failed, and has done nothing.
                volume.device.repair()
                try compareServed()
            }
        }
        volume.device.repair()
        let failure = volume.fileSystem.failure
        if let failure {
            try expectRefusals(failure)
            #expect(throws: failure, name) { try volume.fileSystem.close() }
        } else {
            try compareServed()
            try volume.sync()
            try volume.fileSystem.close()
        }
        try compareDisk(isClosed: failure == nil)
        return failure != nil
    }

    private static func isOfDisk(_ error: FileError) -> Bool {
        switch error {
        case .device, .corrupt, .store, .badRecord, .readOnly: true
        default: false
        }
    }

    private func compareServed() throws {
        let found = try volume.state()
        // A change of labels that failed may show or not.
        let isRight = found == workload.present || found == workload.attempted
        if !isRight {
            for (label, model) in workload.present {
                let text = found[label].map { model.difference(from: $0) ?? "-" } ?? "missing"
                print("\(kind), seed \(seed): served \(label): \(text)")
            }
        }
        try #require(isRight, name)
    }

    private func expectRefusals(_ failure: FileError) throws {
        for _ in 0..<2 { #expect(throws: failure, name) { try volume.sync() } }
        volume.label = "main"
        #expect(throws: FileError.readOnly, name) { try volume.makeFile("refused") }
        try compareServed()
    }

    private func compareDisk(isClosed: Bool) throws {
        let image = volume.device.image()
        let before = Checker.check(image)
        #expect(!before.isBroken, name)
        let survivor = try TestVolume(image: image)
        let found = try survivor.state()
        let isKnown = workload.allowed.contains(found)
        try #require(isKnown, "\(kind), seed \(seed): not a state since the last acknowledged sync")
        try survivor.fileSystem.drainHistory()
        try survivor.fileSystem.close()
        let leaks = try VolumeCheck.leaks(survivor)
        #expect(leaks == 0, name)
    }
}

extension DeviceFault.Kind {
    /// How many operations of its kind a run certainly has.
    fileprivate var operations: Int {
        switch self {
        case .flushError, .forgettingFlush: 12
        case .readError, .shortRead, .wrongData: 4
        default: 25
        }
    }
}
