import GefsEngine
import GefsFormat

/// Looks at one disk that a crash has left: opens it, checks it, compares it, goes on with it.
struct CrashVerifier {
    /// How the workload's volumes are opened.
    var options: VolumeOptions
    var defect: Defect?
    /// The workload's disks have leaked blocks from the start; a repair is to find them.
    var repairsLeaks = false
    /// What is the same in many states, so that it is looked at once.
    let memory = OriginalReading.Memory()

    /// What became of a disk.
    struct Survival {
        /// The state that it was found in, by its number among those allowed.
        var state: Int
        /// Everything from before it was opened to after it was closed.
        var run: ModelledRun
    }

    /// Verifies a disk.
    ///
    /// - Parameters:
    ///   - image: what the crash left.
    ///   - states: what the volume has been.
    ///   - allowed: which of these it may be now.
    ///   - seed: of what is done with it then.
    ///   - round: how many crashes it has seen.
    /// - Throws: `CrashFailure`.
    func verify(
        _ image: MemoryImage, _ states: [HistoryState], _ allowed: ClosedRange<Int>, seed: UInt64,
        round: Int
    ) throws(CrashFailure) -> Survival {
        _ = try check(image, Self.crashed)
        let survival = try recover(image, states, allowed, seed: seed, round: round)
        try goOn(survival.run)
        let after = survival.run.device.image()
        let report = try check(after, "continued")
        if !repairsLeaks, report.totals.leakedBlocks > 0 {
            throw CrashFailure(
                kind: .leaked, stage: "continued",
                detail: "\(report.totals.leakedBlocks) blocks leaked")
        }
        try compareCopies(after)
        try compare(after, survival.run.workload.present)
        return survival
    }

    /// Opens the disk for writing, which repairs it, and sees what it holds.
    private func recover(
        _ image: MemoryImage, _ states: [HistoryState], _ allowed: ClosedRange<Int>, seed: UInt64,
        round: Int
    ) throws(CrashFailure) -> Survival {
        let run: ModelledRun
        let found: HistoryState
        do {
            run = try ModelledRun(
                image: image, workload: HistoryWorkload(seed: seed), options: options,
                defect: defect)
        } catch {
            throw CrashFailure(kind: .notOpened, stage: "recovered", detail: "\(error)")
        }
        do {
            found = try HistoryState(of: run)
        } catch {
            run.fileSystem.abandon()
            throw CrashFailure(kind: .refused, stage: "recovered", detail: "reading: \(error)")
        }
        guard let state = allowed.reversed().first(where: { states[$0] == found }) else {
            run.fileSystem.abandon()
            throw mismatch(found, states, allowed)
        }
        run.begin(HistoryWorkload(seed: seed, from: found, round: round))
        return Survival(state: state, run: run)
    }

    private func mismatch(
        _ found: HistoryState, _ states: [HistoryState], _ allowed: ClosedRange<Int>
    ) -> CrashFailure {
        if let other = states.firstIndex(of: found) {
            return CrashFailure(
                kind: other < allowed.lowerBound ? .lost : .wrongState, stage: "recovered",
                detail: "state \(other) is there, not one of \(allowed)")
        }
        let difference = states[allowed.upperBound].difference(from: found) ?? "?"
        return CrashFailure(
            kind: .wrongState, stage: "recovered",
            detail: "none of the states \(allowed): \(difference)")
    }

    /// Works on, closes, opens again for reading and compares.
    private func goOn(_ run: ModelledRun) throws(CrashFailure) {
        do {
            let branch = run.workload.branches.keys.sorted().first ?? "main"
            let path = "after-\(run.workload.files.namePrefix)"
            try run.edit(branch) { files, run in try files.makeFile(path, on: run) }
            try run.edit(branch) { files, run in
                guard files.model.items[path] != nil else { return }
                try files.write(path, files.bytes(5000), at: 0, on: run)
            }
            for _ in 0..<2 { try run.step() }
            try run.sync()
            try run.step()
            if repairsLeaks { _ = try run.fileSystem.repair() }
            try run.close()
        } catch {
            run.fileSystem.abandon()
            throw CrashFailure(kind: .refused, stage: "continued", detail: "\(error)")
        }
    }

    private static let crashed = "crashed"

    /// A copy that is torn or behind is what a crash may leave, as long as the other one serves.
    private static func isStaleCopy(_ finding: Finding) -> Bool {
        ["volume.superblockUnusable", "arena.damaged", "arena.outdated"].contains(finding.kind)
    }

    /// The full check, and a reading by the original's rules.
    private func check(
        _ image: MemoryImage, _ stage: String
    ) throws(CrashFailure) -> CheckReport {
        let report = Checker.check(MemoryDevice(image, isReadOnly: true))
        let error = report.findings.first {
            $0.severity == .error && (stage != Self.crashed || !Self.isStaleCopy($0))
        }
        if let error {
            throw CrashFailure(kind: .broken, stage: stage, detail: "\(error)")
        }
        if !report.isComplete {
            throw CrashFailure(kind: .broken, stage: stage, detail: "the check did not end")
        }
        do throws(OriginalReading.Fault) {
            try OriginalReading.check(image, memory)
        } catch {
            throw CrashFailure(kind: .original, stage: stage, detail: "\(error)")
        }
        return report
    }

    /// A closed volume, opened for reading, holds what the model says.
    private func compare(_ image: MemoryImage, _ expected: HistoryState) throws(CrashFailure) {
        let found: HistoryState
        do {
            let reader = try QuietReader(image)
            // What is open holds on to its files, and they to it.
            defer { reader.fileSystem.abandon() }
            found = try HistoryState(of: reader)
        } catch {
            throw CrashFailure(kind: .notOpened, stage: "continued", detail: "\(error)")
        }
        if found != expected {
            throw CrashFailure(
                kind: .wrongState, stage: "continued",
                detail: expected.difference(from: found) ?? "?")
        }
    }

    /// After a close and the flush behind it both copies of everything agree.
    private func compareCopies(_ image: MemoryImage) throws(CrashFailure) {
        let block = Geometry.blockBytes
        let backup = image.byteCount - image.byteCount % UInt64(block) - UInt64(block)
        let primary = image.bytes(at: 0, count: block)
        func stale(_ what: String) -> CrashFailure {
            CrashFailure(kind: .staleCopies, stage: "continued", detail: what)
        }
        guard primary == image.bytes(at: backup, count: block) else { throw stale("superblocks") }
        let superblock = primary.withUnsafeBytes {
            try? Superblock(decoding: $0, at: BlockAddress(rawValue: 0))
        }
        guard let superblock else { throw stale("superblock") }
        for (index, arena) in superblock.arenas.enumerated() {
            let address = arena.address.rawValue
            guard
                image.bytes(at: address, count: block)
                    == image.bytes(at: address + UInt64(block), count: block)
            else { throw stale("header and footer of arena \(index)") }
        }
    }
}

/// A volume that is only read: no thread is started, nothing is written.
private final class QuietReader: VolumeUser {
    let fileSystem: FileSystem
    var caller = Caller(user: UserID(rawValue: 1), isPermissive: true)
    var label = "main"

    init(_ image: MemoryImage) throws {
        var options = VolumeOptions()
        options.isReadOnly = true
        options.cacheBytes = 4 << 20
        fileSystem = try FileSystem.open(MemoryDevice(image, isReadOnly: true), options: options)
    }
}
