import ArgumentParser
import GefsEngine
import GefsMend

/// `gefs-mend`: damages images by chance, repairs them, and compares.
@main
struct GefsMendTool: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gefs-mend",
        abstract: "Damage volumes by chance, repair them, and compare what is left.",
        discussion: """
            Each trial is decided by its number. Exit status: 0 all as they have to be, 1 not.

            Examples:
              gefs-mend --images 10000
              gefs-mend --first 4711 --images 1 --save /tmp/image
            """)

    @Option(help: "How many images.")
    var images: UInt64 = 1000

    @Option(help: "The number of the first one.")
    var first: UInt64 = 0

    @Option(help: "Interrupt the repair of each so-many-th image at ten places.")
    var interrupts: UInt64 = 20

    @Option(help: "Write repaired images to PATH.NUMBER.")
    var save: String?

    @Flag(help: "Print what each repair says.")
    var verbose = false

    mutating func run() throws {
        let bases = RepairTrial.Bases()
        var counts: [RepairTrial.Outcome: Int] = [:]
        var (kept, lost, interruptions) = (0, 0, 0)
        for seed in first..<first + images {
            let trial = try RepairTrial(
                seed: seed, on: bases, interrupts: interrupts > 0 && seed % interrupts == 0)
            counts[trial.outcome, default: 0] += 1
            kept += trial.keptFiles
            lost += trial.lostFiles
            interruptions += trial.interruptions
            if trial.outcome == .failed {
                print("\(seed): \(trial.damage.joined(separator: "; "))")
                for fault in trial.faults.prefix(3) { print("    \(fault.prefix(400))") }
            }
            if verbose {
                print("\(seed): \(trial.outcome.rawValue): \(trial.damage.joined(separator: "; "))")
            }
            if verbose { for remark in trial.remarks { print("    \(remark)") } }
            if let save { try write(trial.image, to: "\(save).\(seed)") }
        }
        let outcomes = RepairTrial.Outcome.allCases.map { "\(counts[$0] ?? 0) \($0.rawValue)" }
        print(
            "images \(first)..<\(first + images): \(outcomes.joined(separator: ", ")); "
                + "files kept \(kept), lost or moved \(lost); interruptions \(interruptions)")
        if counts[.failed] != nil { throw ExitCode(1) }
    }

    private func write(_ image: MemoryImage, to path: String) throws {
        let device = try FileDevice.create(path: path, byteCount: image.byteCount)
        defer { device.close() }
        var offset: UInt64 = 0
        let step = 1 << 20
        while offset < image.byteCount {
            let count = Int(min(UInt64(step), image.byteCount - offset))
            let bytes = image.bytes(at: offset, count: count)
            if bytes.contains(where: { $0 != 0 }) {
                try bytes.withUnsafeBytes { try device.write(at: offset, from: $0) }
            }
            offset += UInt64(count)
        }
    }
}
