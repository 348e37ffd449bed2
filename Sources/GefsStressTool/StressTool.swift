import ArgumentParser
import GefsStress

/// Works on volumes without a free block until something gives way.
@main
struct StressTool: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gefs-stress",
        abstract: "Works on small volumes in memory that are full all the time.",
        discussion: """
            Each campaign has a volume and a seed of its own: the run's, plus the number of the \
            campaign. A failure is printed with what replays it; the exit status is then 1.
            """)

    @Option(help: "Operations in all.")
    var steps = 100_000

    @Option(help: "Operations on one volume.")
    var campaign = 20_000

    @Option(help: "Where chance begins; by default a new one each time.")
    var seed: UInt64?

    @Option(help: "Only the profile whose name contains this.")
    var profile: String?

    func run() throws {
        let seed = seed ?? UInt64.random(in: 0...UInt64(UInt32.max))
        let profiles = StressProfile.all.filter { profile.map($0.name.contains) ?? true }
        guard !profiles.isEmpty else { throw ValidationError("there is no such profile") }
        print("seed \(seed)")
        let clock = ContinuousClock()
        let start = clock.now
        do {
            let report = try FullDiskStress.run(
                steps: steps, seed: seed, campaignSteps: campaign, profiles: profiles
            ) { report, profile in
                print("\(Self.text(report)); \(profile.name); \(start.duration(to: clock.now))")
            }
            print("passed: \(Self.text(report))")
        } catch let failure as StressFailure {
            print("FAILED: \(failure)")
            print(
                "replay: gefs-stress --seed \(failure.seed) --profile '\(failure.profile)' "
                    + "--steps \(campaign) --campaign \(campaign)")
            throw ExitCode.failure
        }
    }

    private static func text(_ report: StressReport) -> String {
        "\(report.steps) steps in \(report.campaigns) campaigns, \(report.refusals) refused, "
            + "df measured \(report.measurements) times, \(report.stops) stops, "
            + "\(report.unnoted) blocks found by repair"
    }
}
