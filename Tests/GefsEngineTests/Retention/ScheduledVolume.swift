import GefsFormat

@testable import GefsEngine

/// A volume whose schedule is looked at when a test says so.
final class ScheduledVolume {
    let clock: ManualClock
    let volume: TestVolume
    private let log = Lines()

    /// What was logged.
    private final class Lines: @unchecked Sendable {
        private let lock = Lock()
        private var lines: [String] = []

        func add(_ line: String) { lock.locked { lines.append(line) } }
        func take() -> [String] {
            lock.locked {
                defer { lines = [] }
                return lines
            }
        }
    }

    init(dialect: Dialect = .r) throws {
        clock = ManualClock()
        var options = clock.options
        options.log = { [log] in log.add($0) }
        volume = try TestVolume(options: options)
        volume.fileSystem.volume.dialect = dialect
    }

    /// What was logged since the last time.
    func takeLog() -> [String] { log.take() }

    func look() {
        volume.fileSystem.volume.scheduler.look(at: volume.fileSystem.volume)
    }

    /// Lets the clock go, looking every five seconds as the thread does.
    func run(seconds: Int64) {
        for _ in 0..<(seconds / 5) {
            clock.advance(seconds: 5)
            look()
        }
    }

    /// Attaches once, as a client does that then leaves.
    func use(_ label: String) throws {
        volume.fileSystem.close(try volume.root(label))
    }

    func set(_ schedule: String?, of label: String? = nil) throws {
        try volume.fileSystem.setConfiguration(
            RetentionPolicy.key, to: schedule.map { Array($0.utf8) },
            of: label.map { Array($0.utf8) }, as: volume.caller)
    }

    func change(_ changes: HistoryChange...) throws {
        try volume.fileSystem.change(changes, as: volume.caller)
    }

    /// Whether a label's tree has a file.
    func holds(_ path: String, _ label: String) throws -> Bool {
        do {
            volume.fileSystem.close(try volume.walk(path, label: label))
            return true
        } catch FileError.notFound {
            return false
        }
    }

    /// Labels that begin so, in label order.
    func labels(_ prefix: String = "") throws -> [String] {
        try volume.fileSystem.labels().map { String(decoding: $0.name, as: UTF8.self) }
            .filter { $0.hasPrefix(prefix) }
    }

    /// The lines of the checker about the last commit.
    func problems() throws -> [String] {
        try volume.sync()
        let report = try volume.fileSystem.check()
        return report.findings.filter { $0.severity != .note }.map { "\($0)" }
    }
}
