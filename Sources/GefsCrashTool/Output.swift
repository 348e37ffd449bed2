import Foundation
import GefsCrash

/// What the program prints.
struct Output: Sendable {
    let isJSON: Bool
    private let isTerminal = isatty(2) == 1

    init(isJSON: Bool) {
        self.isJSON = isJSON
    }

    /// How far it has come, on a terminal.
    func progress(_ count: Int, of total: Int) {
        guard isTerminal else { return }
        FileHandle.standardError.write(Data("\r\(count) of \(total) states".utf8))
    }

    /// The result of an exploration.
    func show(_ report: CrashReport, _ explorer: CrashExplorer, seconds: Int64) {
        if isTerminal { FileHandle.standardError.write(Data("\r".utf8)) }
        if isJSON { return print(json(report, explorer, seconds)) }
        for (name, share) in report.shares.sorted(by: { $0.key < $1.key }) {
            print(
                "\(pad(name, 14))\(left(share.recordings, 5)) recordings"
                    + "\(left(share.intervals, 6)) intervals"
                    + " (\(share.wholeIntervals) wholly)\(left(share.states, 9)) states"
                    + "\(left(share.secondStates, 8)) second crashes")
        }
        for failures in report.failures { show(failures, explorer) }
        print(
            "\(report.stateCount) states explored, \(report.secondStateCount) of them second "
                + "crashes, \(report.duplicateCount) more were alike; "
                + "\(report.failures.count) distinct failures; seed \(explorer.seed); "
                + "\(seconds) s")
    }

    /// Whether a defect was found.
    func show(_ defect: Defect, _ report: CrashReport, _ explorer: CrashExplorer) {
        let first = report.failures.first
        if isJSON {
            print(
                object([
                    ("defect", string(defect.rawValue)), ("found", "\(first != nil)"),
                    ("states", "\(report.stateCount)"),
                    ("failure", first.map { json($0, explorer) } ?? "null"),
                ]))
            return
        }
        let verdict = first == nil ? "NOT FOUND" : "found"
        print("\(pad(defect.rawValue, 28)) \(verdict) within \(report.stateCount) states")
        if let first { print("    \(first.failure.kind.rawValue): \(first.failure.detail)") }
    }

    private func show(_ failures: CrashReport.Failures, _ explorer: CrashExplorer) {
        let failure = failures.failure
        print("\(failures.count) x \(failure.kind.rawValue) (\(failure.stage)): \(failure.detail)")
        print("    \(command(failures, explorer))")
    }

    /// What replays a failure.
    private func command(_ failures: CrashReport.Failures, _ explorer: CrashExplorer) -> String {
        var words = ["gefs-crash", "--workload", failures.workload]
        if let place = failures.place {
            words += ["--replay", "\(failures.seed):\(place)"]
        } else {
            words += ["--seed", "\(failures.seed)"]
        }
        if let defect = explorer.defect { words += ["--sabotage", defect.rawValue] }
        if explorer.liesAboutFlushes { words.append("--lying-flushes") }
        return words.joined(separator: " ")
    }

    // MARK: JSON

    private func json(_ report: CrashReport, _ explorer: CrashExplorer, _ seconds: Int64) -> String
    {
        let shares = report.shares.sorted { $0.key < $1.key }.map { name, share in
            object([
                ("workload", string(name)), ("recordings", "\(share.recordings)"),
                ("states", "\(share.states)"), ("secondStates", "\(share.secondStates)"),
                ("duplicates", "\(share.duplicates)"), ("intervals", "\(share.intervals)"),
                ("wholeIntervals", "\(share.wholeIntervals)"),
            ])
        }
        return object([
            ("states", "\(report.stateCount)"), ("secondStates", "\(report.secondStateCount)"),
            ("duplicates", "\(report.duplicateCount)"), ("seed", "\(explorer.seed)"),
            ("seconds", "\(seconds)"), ("workloads", "[\(shares.joined(separator: ","))]"),
            (
                "failures",
                "[\(report.failures.map { json($0, explorer) }.joined(separator: ","))]"
            ),
        ])
    }

    private func json(_ failures: CrashReport.Failures, _ explorer: CrashExplorer) -> String {
        object([
            ("kind", string(failures.failure.kind.rawValue)),
            ("stage", string(failures.failure.stage)),
            ("detail", string(failures.failure.detail)), ("count", "\(failures.count)"),
            ("workload", string(failures.workload)), ("seed", "\(failures.seed)"),
            ("replay", string(command(failures, explorer))),
        ])
    }

    private func object(_ members: [(String, String)]) -> String {
        "{" + members.map { "\(string($0.0)):\($0.1)" }.joined(separator: ",") + "}"
    }

    private func string(_ text: String) -> String {
        let data = try? JSONEncoder().encode(text)
        return data.map { String(decoding: $0, as: UTF8.self) } ?? "\"\""
    }

    private func pad(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    private func left(_ number: Int, _ width: Int) -> String {
        let text = "\(number)"
        return String(repeating: " ", count: max(0, width - text.count)) + text
    }
}

/// What there is to choose from.
enum Listing {
    static func show() {
        print("workloads:")
        for (name, summary) in CrashExplorer.workloads { print("  \(name): \(summary)") }
        print("defects:")
        for defect in Defect.allCases { print("  \(defect.rawValue)") }
    }
}
