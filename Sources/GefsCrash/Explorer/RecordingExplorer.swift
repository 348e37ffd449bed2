import GefsEngine
import Synchronization

/// Looks at the crash states of one recording of one workload.
struct RecordingExplorer {
    let workload: CrashWorkload
    let seed: UInt64
    let defect: Defect?
    /// Flushes are lies: what was written before one may be lost.
    let liesAboutFlushes: Bool
    /// Asked before each state whether it is to be looked at; it then counts.
    let takeState: () -> Bool
    private let verifier: CrashVerifier
    /// Whether every pair of crashes is looked at.
    private var pairsCrashes = false
    private(set) var report = CrashReport()

    init(
        _ workload: CrashWorkload, seed: UInt64, defect: Defect?, liesAboutFlushes: Bool,
        takeState: @escaping () -> Bool
    ) {
        self.workload = workload
        self.seed = seed
        self.defect = defect
        self.liesAboutFlushes = liesAboutFlushes
        self.takeState = takeState
        verifier = CrashVerifier(
            options: workload.options, defect: defect, repairsLeaks: workload.repairsLeaks)
    }

    /// Records and explores.
    ///
    /// - Parameter budget: states to look at, about; nil: all of them.
    mutating func run(budget: Int?) {
        report.shares[workload.name, default: CrashReport.Share()].recordings += 1
        let run: ModelledRun
        do {
            run = try workload.recorded(seed: seed, defect: defect)
        } catch {
            fail(
                CrashFailure(kind: .refused, stage: "recording", detail: "\(error)"), at: nil)
            return
        }
        pairsCrashes = budget == nil
        explore(run, budget: budget)
    }

    private mutating func explore(_ run: ModelledRun, budget: Int?) {
        let recording = run.device.recording
        let intervals = liesAboutFlushes ? recording.intervalsAcrossFlushes : recording.intervals
        var images = CrashImages(recording)
        var left = budget ?? 0
        for (index, interval) in intervals.enumerated() {
            let states = CrashStates(recording, interval, seed: seed)
            let share = left / (intervals.count - index)
            let numbers = Self.choose(
                states, budget == nil ? states.count : share, seed: seed &+ UInt64(index))
            report.shares[workload.name]?.intervals += 1
            if numbers.count == states.count { report.shares[workload.name]?.wholeIntervals += 1 }
            var seen: Set<UInt64> = []
            for number in numbers {
                let state = states[number]
                let (image, hash) = images.image(of: state)
                guard seen.insert(hash).inserted else {
                    report.shares[workload.name]?.duplicates += 1
                    continue
                }
                guard takeState() else { return }
                left -= 1
                report.shares[workload.name]?.states += 1
                let place = CrashPlace([CrashPlace.Step(interval: index, number: number)])
                do throws(CrashFailure) {
                    let survival = try verify(image, run, state, place)
                    let isPrefix = number < states.prefixCount
                    crashAgain(survival.run, place, isPrefix: isPrefix)
                } catch {
                    fail(error, at: place)
                }
            }
        }
    }

    private func verify(
        _ image: MemoryImage, _ run: ModelledRun, _ state: CrashState, _ place: CrashPlace
    ) throws(CrashFailure) -> CrashVerifier.Survival {
        try verifier.verify(
            image, run.states, run.allowed(after: state.cuts), seed: Self.seed(seed, place),
            round: place.steps.count)
    }

    /// A second crash, while the volume recovers from the first or works on.
    ///
    /// Where all is looked at and the first crash was a plain cut, at every write of the second run;
    /// else at some, now and then.
    private mutating func crashAgain(
        _ run: ModelledRun, _ place: CrashPlace, isPrefix: Bool
    ) {
        var chance = SeededGenerator(seed: Self.seed(seed, place) &+ 7)
        let isPaired = pairsCrashes && isPrefix
        guard isPaired || Int.random(in: 0..<8, using: &chance) == 0 else { return }
        let recording = run.device.recording
        var images = CrashImages(recording)
        for (index, interval) in recording.intervals.enumerated() {
            let states = CrashStates(recording, interval, seed: Self.seed(seed, place))
            var numbers = isPaired ? Array(0..<states.prefixCount) : []
            numbers.append(Int.random(in: 0..<states.count, using: &chance))
            var seen: Set<UInt64> = []
            for number in numbers {
                let state = states[number]
                let (image, hash) = images.image(of: state)
                guard seen.insert(hash).inserted else { continue }
                guard takeState() else { return }
                report.shares[workload.name]?.secondStates += 1
                let second = CrashPlace(
                    place.steps + [CrashPlace.Step(interval: index, number: number)])
                do throws(CrashFailure) {
                    _ = try verify(image, run, state, second)
                } catch {
                    fail(error, at: second)
                }
            }
        }
    }

    /// Looks at one state only.
    func replay(_ place: CrashPlace) throws -> CrashVerifier.Survival {
        var run = try workload.recorded(seed: seed, defect: defect)
        var passed = CrashPlace([])
        for (depth, step) in place.steps.enumerated() {
            let recording = run.device.recording
            let intervals =
                liesAboutFlushes && depth == 0
                ? recording.intervalsAcrossFlushes : recording.intervals
            guard intervals.indices.contains(step.interval) else { throw NoSuchState() }
            let states = CrashStates(
                recording, intervals[step.interval],
                seed: depth == 0 ? seed : Self.seed(seed, passed))
            guard states.indices.contains(step.number) else { throw NoSuchState() }
            passed.steps.append(step)
            var images = CrashImages(recording)
            let state = states[step.number]
            let survival = try verify(images.image(of: state).image, run, state, passed)
            if depth == place.steps.count - 1 { return survival }
            run = survival.run
        }
        throw NoSuchState()
    }

    private mutating func fail(_ failure: CrashFailure, at place: CrashPlace?) {
        report.add(
            CrashReport.Failures(
                failure: failure, workload: workload.name, seed: seed, place: place, count: 1))
    }

    /// Which states of an interval to look at: the prefixes and what is near nothing or all, and
    /// others by chance, half of them of those where every write may be torn.
    private static func choose(_ states: CrashStates, _ count: Int, seed: UInt64) -> [Int] {
        guard count < states.count else { return Array(states.indices) }
        var chance = SeededGenerator(seed: seed)
        var chosen = Set(0..<min(states.essentialCount, states.count))
        while chosen.count < count {
            chosen.insert(Int.random(in: 0..<states.count, using: &chance))
            chosen.insert(Int.random(in: states.mixtures, using: &chance))
        }
        return chosen.sorted()
    }

    /// What is done with a disk that was found at a place.
    private static func seed(_ seed: UInt64, _ place: CrashPlace) -> UInt64 {
        place.steps.reduce(seed) { seed, step in
            var generator = SeededGenerator(
                seed: seed &* 31 &+ UInt64(step.interval) << 32 &+ UInt64(step.number))
            return generator.next()
        }
    }
}

/// A place that the recording does not have.
public struct NoSuchState: Error {}
