import ArgumentParser
import GefsControl
import GefsEngine

struct CrashLabVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "crashlab",
        abstract: "Run a command, and tell which crashes would lose its data.",
        usage: "gefs crashlab [IMAGE] --verify SCRIPT [--states N] [--seed S] -- COMMAND ...",
        discussion: """
            COMMAND runs on a fork of the branch in a scratch copy of the image, which is not \
            changed; all that the disk does meanwhile is recorded. Then the disk is made as a \
            power cut may have left it, again and again: any of the writes between two flushes, \
            each whole or torn. Each such disk is opened and served, and SCRIPT (a line for sh) \
            says by its exit status whether all is there that should be.

            Both find the fork through GEFS_IMAGE and GEFS_BRANCH, as with gefs try. SCRIPT also \
            gets GEFS_CRASH_OUTPUT, a file with the lines that COMMAND had printed before the \
            cut; GEFS_CRASH_STATE, which state it is; and GEFS_CRASH_TIME, milliseconds from the \
            start to the cut. So a command that says what it has made durable can be held to it.

            Exit status: 0 no state loses data, 3 some do.

            Examples:
              gefs crashlab disk.img --verify ./check.sh -- ./database-test
              gefs crashlab disk.img --verify 'gefs cat /log | cmp - "$GEFS_CRASH_OUTPUT"' -- ./log
            """)

    @OptionGroup var image: ImageOperand

    @Option(help: ArgumentHelp("The branch to fork.", valueName: "name"))
    var branch = "main"

    @Option(help: ArgumentHelp("How many crashes to look at.", valueName: "n"))
    var states = 200

    @Option(help: ArgumentHelp("Chooses the crashes.", valueName: "number"))
    var seed: UInt64?

    @Option(
        name: .customLong("state"),
        help: ArgumentHelp("Look at this crash only.", valueName: "interval:number"))
    var only: String?

    @Option(help: ArgumentHelp("What judges, a line for sh.", valueName: "script"))
    var verify: String

    @Argument(parsing: .postTerminator, help: "The command and its arguments.")
    var command: [String] = []

    @OptionGroup var options: OutputOptions

    var console: Console { options.console() }

    func validate() throws {
        guard !command.isEmpty else { throw ValidationError("Missing expected '-- COMMAND'.") }
        guard states > 0 else { throw ValidationError("--states has to be at least 1.") }
        if let only, Self.place(only) == nil {
            throw ValidationError("--state \(only): not an interval and a number, as in 3:17.")
        }
    }

    private static func place(_ text: String) -> CrashLab.Place? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map { Int($0) }
        guard parts.count == 2, let interval = parts[0], let number = parts[1] else { return nil }
        return CrashLab.Place(interval: interval, number: number)
    }

    func perform(on console: Console) throws {
        let image = try image.resolved()
        guard LocalFile.kind(of: image) != .socket else {
            throw CommandFailure(
                ByteText.shown(image), "is a server's socket",
                next: "name an image that nobody writes to", status: .busy)
        }
        let seed = seed ?? UInt64.random(in: 0..<1 << 32)
        let lab = try CrashLab(image, branch: branch, seed: seed, console: console)
        try lab.record(command)
        let places = only.flatMap(Self.place).map { [$0] } ?? lab.places(limit: states)
        let line = ProgressLine("crashlab", .items("states"), on: console)
        defer { line.finish() }
        var failures: [CrashLab.Outcome] = []
        for (index, place) in places.enumerated() {
            try Interruption.check()
            let outcome = try lab.verify(place, script: verify)
            if outcome.status != 0 { failures.append(outcome) }
            line.update(UInt64(index + 1), of: UInt64(places.count))
        }
        line.finish()
        let flushes = lab.recording.events.count { $0 == .flush }
        let report = CrashLabReport(
            writes: lab.recording.events.count - flushes, flushes: flushes, seed: seed,
            states: lab.stateCount, tried: places.count, failed: failures.count,
            distinctCuts: Set(failures.map(\.cut)).count,
            failures: failures.map { CrashLabReport.Failure($0, replay: replay($0, image, seed)) })
        try console.result(report) { try show(report, console) }
        if !failures.isEmpty { throw ExitStatus.findings }
    }

    private func replay(_ outcome: CrashLab.Outcome, _ image: String, _ seed: UInt64) -> String {
        let words =
            ["gefs", "crashlab", image, "--branch", branch, "--seed", String(seed), "--state"]
            + [outcome.place.text, "--verify", verify, "--"] + command
        return words.map(Self.quoted).joined(separator: " ")
    }

    private static func quoted(_ word: String) -> String {
        let plain = word.allSatisfy { $0.isLetter || $0.isNumber || "-_./:=,".contains($0) }
        return plain && !word.isEmpty
            ? word
            : "'"
                + word.split(separator: "'", omittingEmptySubsequences: false)
                .joined(separator: "'\\''") + "'"
    }

    private func show(_ report: CrashLabReport, _ console: Console) throws {
        try console.line(
            "\(report.writes) writes and \(report.flushes) flushes may leave \(report.states) "
                + "disks; \(report.tried) tried, \(report.failed) lose data at "
                + "\(report.distinctCuts) cuts, seed \(report.seed)")
        guard let first = report.failures.first else { return }
        var table = TextTable([.left, .right, .right, .right, .left])
        table.append(["STATE", "CUT AFTER", "MS", "LINES", "SCRIPT"])
        for failure in report.failures.prefix(20) {
            let status = failure.status.map { "status \($0)" } ?? "cannot be opened"
            table.append([
                failure.state, String(failure.cut), String(failure.milliseconds),
                String(failure.lines),
                failure.message.isEmpty ? status : "\(status): \(failure.message)",
            ])
        }
        try console.table(table)
        if report.failed > 20 { try console.line("and \(report.failed - 20) more, see --json") }
        try console.line("to see the first again, as far as the command does the same again:")
        try console.line("  \(ByteText.shown(first.replay))")
    }
}

/// What `crashlab --json` prints.
struct CrashLabReport: Report {
    static var type: String { "crashlab" }

    struct Failure: Codable {
        var state: String
        /// Writes and flushes before the cut, at the latest.
        var cut: Int
        var milliseconds: Int
        /// Lines that the command had printed.
        var lines: Int
        /// Exit status of the script; absent where the disk could not be opened.
        var status: Int32?
        var message: String
        var replay: String

        init(_ outcome: CrashLab.Outcome, replay: String) {
            state = outcome.place.text
            cut = outcome.cut
            milliseconds = outcome.milliseconds
            lines = outcome.lines
            status = outcome.status
            message = outcome.message
            self.replay = replay
        }
    }

    var writes: Int
    var flushes: Int
    var seed: UInt64
    /// Disks that a crash may leave.
    var states: Int
    var tried: Int
    var failed: Int
    /// Different points in time among the failures.
    var distinctCuts: Int
    var failures: [Failure]
}
