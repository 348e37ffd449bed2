import ArgumentParser
import GefsDamage
import GefsEngine

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Damages images, one block at a time, and looks at what comes of it.
@main
struct DamageCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gefs-damage",
        abstract: "Flip bits and overwrite sectors of images, and see that nothing is ever wrong.",
        discussion: """
            Each sample changes one bit, or one sector, of one block of an image: superblocks, \
            arena headers, logs, nodes of all trees, deadlists, file data, free space. Then the \
            image is checked, opened for reading and for writing, all files of all labels are \
            read, files and labels are changed, and the image is checked and read again. Every \
            byte must be right, or refused by an error that names the block, and only to what \
            needs that block.

            Exit status: 0 if so, 1 if not.

            Examples:
              gefs-damage --samples 100000 --seed 1
              gefs-damage --samples 1000 --image disk.img --files 100
              gefs-damage --workload history --seed 1 --first 4711 --samples 1
            """)

    @Option(help: "How many samples.")
    var samples = 1000

    @Option(help: "Where the random numbers start.")
    var seed: UInt64 = 1

    @Option(help: "The number of the first sample, to replay one.")
    var first = 0

    @Option(help: "Only this workload makes the image.")
    var workload: String?

    @Option(help: "An image to damage copies of, instead of those made by workloads.")
    var image: [String] = []

    @Option(
        help: "How many files of each label a sample reads, apart from those that need the block.")
    var files: Int?

    @Option(help: "Samples on one image before the next one is made.")
    var stretch = 1000

    @Option(help: "Seconds that one sample may take.")
    var patience: UInt32 = 120

    func run() throws {
        var tally = DamageTally()
        var shown = 0
        var number = first
        let end = first + samples
        while number < end {
            let part = number / stretch
            let trial = try trial(part)
            while number < end, number / stretch == part {
                // A sample that is replayed alone shall trap where a debugger sees it.
                if samples > 1 { Position.announce(number, patience) }
                let outcome = trial.run(seed: seed &* 0x1_0000_0001 &+ UInt64(number))
                tally.add(outcome)
                if !outcome.failures.isEmpty, shown < 200 {
                    shown += 1
                    Self.say("sample \(number) of \(trial.name): \(outcome.damage)")
                    for failure in outcome.failures.prefix(6) { Self.say("    \(failure)") }
                    Self.say("    replay: \(replay(number))")
                }
                number += 1
            }
        }
        Self.say(tally.table)
        Self.say(
            "\(tally.total.samples) samples from \(first), seed \(seed): "
                + "\(tally.filesRight) files read right, \(tally.operationsRefused) operations "
                + "refused, \(tally.total.failures) samples failed")
        if tally.total.failures > 0 { throw ExitCode.failure }
    }

    /// A line on standard output, at once: a trap must not take it away.
    private static func say(_ line: String) {
        print(line)
        fflush(nil)
    }

    private func replay(_ number: Int) -> String {
        var words = [
            "gefs-damage --seed \(seed) --first \(number) --samples 1 --stretch \(stretch)"
        ]
        if let workload { words.append("--workload \(workload)") }
        words += image.map { "--image \($0)" }
        if let files { words.append("--files \(files)") }
        return words.joined(separator: " ")
    }

    private func trial(_ part: Int) throws -> DamageTrial {
        guard image.isEmpty else {
            let path = image[part % image.count]
            return try DamageTrial(
                name: path, image: try TrialImages.load(path), filesMax: files ?? .max)
        }
        let name = workload ?? TrialImages.names[part % TrialImages.names.count]
        let image = try TrialImages.make(name, seed: seed &+ UInt64(part))
        return try DamageTrial(name: name, image: image, filesMax: files ?? .max)
    }
}

/// Which sample is being tried, for those who learn of it from a signal.
private enum Position {
    nonisolated(unsafe) private static var number = 0

    /// From now on a trap, or `patience` seconds without an end, name this sample.
    static func announce(_ number: Int, _ patience: UInt32) {
        self.number = number
        for code in [SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGABRT, SIGALRM] {
            signal(code) { code in
                var text: [UInt8] = Array("sample \(Position.number): signal \(code)\n".utf8)
                _ = write(STDOUT_FILENO, &text, text.count)
                signal(code, SIG_DFL)
                raise(code)
            }
        }
        alarm(patience)
    }
}
