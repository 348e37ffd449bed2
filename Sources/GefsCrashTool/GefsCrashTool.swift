import ArgumentParser
import GefsCrash

@main
struct GefsCrashTool: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gefs-crash",
        abstract: "Look at the disks that a power cut may leave, and see that nothing is lost.",
        discussion: """
            Runs workloads on a simulated device and makes the disks that a crash at any point \
            may have left. Each is opened, checked wholly, compared with what was acknowledged, \
            worked on, and crashed again.

            Exit status: 0 nothing found, 3 failures.

            Examples:
              gefs-crash --states 100000
              gefs-crash --workload snapshots --seed 7
              gefs-crash --workload random --replay 7:12.345
              gefs-crash --sabotage frees-too-early
            """)

    @Option(help: "Disks to look at.")
    var states = 100_000

    @Option(help: "The first seed; rounds count from it.")
    var seed: UInt64 = 1

    @Option(help: "A workload, or several with commas between, or all.")
    var workload = "all"

    @Option(help: "Stop after so many seconds.")
    var seconds: Int?

    @Option(help: "Recordings explored at the same time.")
    var threads = 4

    @Option(help: "Look at one state again: SEED:STATE of a failure; needs --workload.")
    var replay: String?

    @Option(help: "Put a defect in, which is to be found (exit status 0 then): NAME or all.")
    var sabotage: String?

    @Flag(help: "Flushes are lies: tells how many states that breaks, and fails none.")
    var lyingFlushes = false

    @Flag(help: "List the workloads and defects.")
    var list = false

    @Flag(help: "Print JSON.")
    var json = false

    func validate() throws {
        let known = Set(CrashExplorer.workloads.map(\.name))
        if let name = names.first(where: { !known.contains($0) }) {
            throw ValidationError("no workload is called \(name)")
        }
        if let sabotage, sabotage != "all", Defect(rawValue: sabotage) == nil {
            throw ValidationError("no defect is called \(sabotage)")
        }
        guard states > 0, threads > 0 else {
            throw ValidationError("states and threads are to be above 0")
        }
    }

    private var names: Set<String> {
        workload == "all" ? [] : Set(workload.split(separator: ",").map(String.init))
    }

    func run() throws {
        if list { return Listing.show() }
        var explorer = CrashExplorer()
        explorer.states = states
        explorer.seconds = seconds
        explorer.seed = seed
        explorer.names = names
        explorer.threads = threads
        explorer.liesAboutFlushes = lyingFlushes
        if let replay { return try self.replay(replay, explorer) }
        if let sabotage {
            let defects = Defect.allCases.filter { ["all", $0.rawValue].contains(sabotage) }
            return try self.sabotage(defects, explorer)
        }
        let output = Output(isJSON: json)
        let clock = ContinuousClock()
        let start = clock.now
        let report = explorer.run { output.progress($0, of: states) }
        output.show(report, explorer, seconds: (clock.now - start).components.seconds)
        if !report.failures.isEmpty, !lyingFlushes { throw ExitCode(3) }
    }

    private func replay(_ text: String, _ explorer: CrashExplorer) throws {
        let parts = text.split(separator: ":", maxSplits: 1)
        guard parts.count == 2, let seed = UInt64(parts[0]),
            let place = CrashPlace(String(parts[1])), let name = names.first, names.count == 1
        else { throw ValidationError("--replay takes SEED:STATE, and one --workload") }
        var explorer = explorer
        explorer.seed = seed
        explorer.defect = sabotage.flatMap { Defect(rawValue: $0) }
        do {
            guard let failure = try explorer.replay(workload: name, place) else {
                print("state \(place) of \(name), seed \(seed): nothing is wrong")
                return
            }
            print("\(failure.kind.rawValue) (\(failure.stage)): \(failure.detail)")
            throw ExitCode(3)
        } catch is NoSuchState {
            throw ValidationError("there is no such state")
        }
    }

    private func sabotage(_ defects: [Defect], _ explorer: CrashExplorer) throws {
        let output = Output(isJSON: json)
        var missed = 0
        for defect in defects {
            var explorer = explorer
            explorer.defect = defect
            explorer.stopsAtFailure = true
            let report = explorer.run()
            output.show(defect, report, explorer)
            if report.failures.isEmpty { missed += 1 }
        }
        if missed > 0 { throw ExitCode(3) }
    }
}
