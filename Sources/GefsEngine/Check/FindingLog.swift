import Synchronization

/// Collects findings: all are counted, of each kind only the first ones are kept.
///
/// Any thread may add to it.
final class FindingLog: Sendable {
    private struct Bin {
        var count = 0
        var findings: [Finding] = []
    }

    private struct BinName: Hashable {
        var kind: String
        var severity: Finding.Severity
    }

    private let perKindMax: Int
    private let bins = Mutex<[BinName: Bin]>([:])

    /// - Parameter perKindMax: how many findings of a kind are kept.
    init(perKindMax: Int) {
        self.perKindMax = perKindMax
    }

    func add(_ finding: Finding) {
        bins.withLock { bins in
            let name = BinName(kind: finding.kind, severity: finding.severity)
            bins[name, default: Bin()].count += 1
            if bins[name]?.findings.count ?? 0 < perKindMax {
                bins[name]?.findings.append(finding)
            }
        }
    }

    /// Whether another finding of this kind would be kept, so that details are worth their cost.
    func wants(_ kind: String, _ severity: Finding.Severity = .error) -> Bool {
        bins.withLock { bins in
            bins[BinName(kind: kind, severity: severity)]?.findings.count ?? 0 < perKindMax
        }
    }

    func add(_ what: Finding.What) { add(Finding(what)) }

    /// How many errors were added so far.
    var errorCount: Int {
        bins.withLock { bins in
            bins.reduce(0) { $1.key.severity == .error ? $0 + $1.value.count : $0 }
        }
    }

    /// Puts what was collected into a report, worst first.
    func write(to report: inout CheckReport) {
        let bins = bins.withLock { $0 }.sorted {
            ($1.key.severity, $0.key.kind) < ($0.key.severity, $1.key.kind)
        }
        report.findings = bins.flatMap { $0.value.findings }
        report.counts = bins.map {
            CheckReport.KindCount(
                kind: $0.key.kind, severity: $0.key.severity, count: $0.value.count)
        }
    }
}
