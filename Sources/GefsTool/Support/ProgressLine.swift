import GefsControl

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// One line on standard error that says how far long work is; silent where nobody looks.
final class ProgressLine {
    enum Unit {
        case bytes
        case items(String)
    }

    private let label: String
    private let unit: Unit
    private let isShown: Bool
    private let started = ContinuousClock.now
    private var shownAt: ContinuousClock.Instant?
    private static let interval: Duration = .milliseconds(100)

    init(_ label: String, _ unit: Unit, on console: Console) {
        self.label = label
        self.unit = unit
        isShown = console.showsProgress
    }

    /// Shows the state of the work, at most ten times a second; `total` nil where it is unknown.
    func update(_ done: UInt64, of total: UInt64?) {
        guard isShown else { return }
        let now = ContinuousClock.now
        if let shownAt, now - shownAt < Self.interval { return }
        shownAt = now
        show(text(done, total, now - started))
    }

    /// Takes the line away.
    func finish() {
        guard isShown, shownAt != nil else { return }
        show("")
    }

    private func show(_ text: String) {
        let line = Array("\r\u{1b}[K\(text)".utf8)
        _ = line.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }

    private func text(_ done: UInt64, _ total: UInt64?, _ elapsed: Duration) -> String {
        let seconds =
            Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) / 1e18
        let rate = seconds > 0 ? Double(done) / seconds : 0
        var text = "\(label): \(amount(done))"
        if let total, total > 0 {
            text += " of \(amount(total)), \(min(done, total) * 100 / total) %"
        }
        if rate >= 1 { text += ", \(amount(UInt64(rate)))/s" }
        if let total, total > done, rate >= 1, seconds > 1 {
            text += ", \(Self.clock(UInt64(Double(total - done) / rate))) left"
        }
        return text
    }

    private func amount(_ count: UInt64) -> String {
        switch unit {
        case .bytes: HumanSize.text(count)
        case .items(let name): "\(count) \(name)"
        }
    }

    private static func clock(_ seconds: UInt64) -> String {
        let (minutes, rest) = seconds.quotientAndRemainder(dividingBy: 60)
        return minutes > 0 ? "\(minutes) min \(rest) s" : "\(rest) s"
    }
}
