import GefsEngine
import Synchronization

/// Runs workloads on a simulated device and looks at the disks that a crash at any point may have
/// left: opens each, checks all of it, compares it with a model, works on from it, and crashes
/// again.
///
/// Deterministic: equal options give equal recordings and states. With several threads, which of
/// the last states are still within the budget depends on their speed.
public struct CrashExplorer: Sendable {
    /// The names of all workloads, and what they are about.
    public static var workloads: [(name: String, summary: String)] {
        CrashWorkload.all.map { ($0.name, $0.summary) }
    }

    /// States to look at.
    public var states = 100_000
    /// Seconds after which no more are begun.
    public var seconds: Int?
    /// The first seed; rounds count from it.
    public var seed: UInt64 = 1
    /// Names of workloads; none: all of them.
    public var names: Set<String> = []
    /// Recordings explored at the same time.
    public var threads = 4
    /// A defect that is put in.
    public var defect: Defect?
    /// Flushes are lies. No file system survives that; failures are to be expected.
    public var liesAboutFlushes = false
    /// Whether to stop at the first failure.
    public var stopsAtFailure = false

    /// Honest, and all of it.
    public init() {}

    private struct Progress {
        var nextUnit = 0
        var report = CrashReport()
        var isStopped = false
    }

    private final class Shared: Sendable {
        let progress = Mutex(Progress())
        let taken = Atomic<Int>(0)
        let isStopped = Atomic<Bool>(false)
    }

    /// Explores.
    ///
    /// - Parameter watch: called now and then with the number of states looked at.
    public func run(watch: @escaping @Sendable (Int) -> Void = { _ in }) -> CrashReport {
        let wanted = names.isEmpty ? defect?.workloads ?? [] : names
        let chosen = CrashWorkload.all.filter { wanted.isEmpty || wanted.contains($0.name) }
        guard !chosen.isEmpty else { return CrashReport() }
        let shared = Shared()
        let clock = ContinuousClock()
        let deadline = seconds.map { clock.now + .seconds($0) }
        let takeState: @Sendable () -> Bool = {
            if shared.isStopped.load(ordering: .relaxed) { return false }
            if let deadline, clock.now > deadline { return false }
            let number = shared.taken.wrappingAdd(1, ordering: .relaxed).newValue
            if number % 500 == 0 { watch(number) }
            return number <= states
        }
        let workers = (0..<max(1, threads)).compactMap { _ in
            WorkerThread {
                while true {
                    let unit = shared.progress.withLock { progress in
                        defer { progress.nextUnit += 1 }
                        return progress.nextUnit
                    }
                    let round = unit / chosen.count
                    let workload = chosen[unit % chosen.count]
                    var explorer = RecordingExplorer(
                        workload, seed: seed &+ UInt64(round), defect: defect,
                        liesAboutFlushes: liesAboutFlushes, takeState: takeState)
                    explorer.run(budget: budget(workload, round, of: chosen.count))
                    let report = explorer.report
                    let isFound = !report.failures.isEmpty && stopsAtFailure
                    shared.progress.withLock { $0.report.add(report) }
                    if isFound { shared.isStopped.store(true, ordering: .relaxed) }
                    guard takeMore(shared, deadline, clock) else { return }
                }
            }
        }
        for worker in workers { worker.join() }
        var report = shared.progress.withLock { $0.report }
        report.failures.sort { $0.count > $1.count }
        return report
    }

    private func takeMore(
        _ shared: Shared, _ deadline: ContinuousClock.Instant?, _ clock: ContinuousClock
    ) -> Bool {
        if shared.isStopped.load(ordering: .relaxed) { return false }
        if let deadline, clock.now > deadline { return false }
        return shared.taken.load(ordering: .relaxed) < states
    }

    /// The first round looks at everything that small workloads can leave.
    private func budget(_ workload: CrashWorkload, _ round: Int, of count: Int) -> Int? {
        if workload.isSmall, round == 0, defect == nil, !liesAboutFlushes,
            states >= Self.wholeRoundStates * count
        {
            return nil
        }
        return min(2000, max(200, states / count / 4))
    }

    /// States for each workload from which on the small ones are looked at wholly.
    private static let wholeRoundStates = 5000

    /// Looks at one state again.
    ///
    /// - Returns: what is wrong with it, or nil.
    /// - Throws: what kept the workload from running, or `NoSuchState`.
    public func replay(workload name: String, _ place: CrashPlace) throws -> CrashFailure? {
        guard let workload = CrashWorkload.all.first(where: { $0.name == name }) else {
            throw NoSuchState()
        }
        let explorer = RecordingExplorer(
            workload, seed: seed, defect: defect, liesAboutFlushes: liesAboutFlushes,
            takeState: { true })
        do {
            _ = try explorer.replay(place)
            return nil
        } catch let failure as CrashFailure {
            return failure
        }
    }
}
