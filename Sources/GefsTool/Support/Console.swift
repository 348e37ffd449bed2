import GefsControl
import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// How a verb speaks: results to standard output as text or JSON, all else to standard error.
final class Console {
    let output = StandardStream(STDOUT_FILENO)
    /// One JSON object a line in place of text.
    let isJSON: Bool
    /// Sizes as plain byte counts.
    let showsBytes: Bool
    let isQuiet: Bool
    let isVerbose: Bool

    /// Whether progress is drawn: only for a person who looks at standard error.
    var showsProgress: Bool { !isQuiet && isatty(STDERR_FILENO) == 1 }

    init(isJSON: Bool, showsBytes: Bool, isQuiet: Bool, isVerbose: Bool) {
        self.isJSON = isJSON
        self.showsBytes = showsBytes
        self.isQuiet = isQuiet
        self.isVerbose = isVerbose
    }

    /// A line of the result, as text.
    func line(_ text: String) throws {
        try output.write(text)
        try output.write("\n")
    }

    /// The rows of the result, as text.
    func table(_ table: TextTable) throws {
        for text in table.lines() { try line(text) }
    }

    /// An object of the result, as a line of JSON.
    func object(_ report: some Report) throws {
        try output.write(try ReportLine.encode(report))
        try output.write("\n")
    }

    /// A result: as JSON where that is asked for, else as text.
    func result(_ report: some Report, text: () throws -> Void) throws {
        if isJSON {
            try object(report)
        } else {
            try text()
        }
    }

    /// A remark for people, unless they asked for silence.
    func note(_ text: String) {
        if !isQuiet { Self.complain("gefs: \(text)") }
    }

    /// A remark for people who asked for more.
    func detail(_ text: String) {
        if isVerbose { note(text) }
    }

    /// A size as the user wants to see it.
    func size(_ byteCount: UInt64) -> String {
        showsBytes ? String(byteCount) : HumanSize.text(byteCount)
    }

    /// A name as it may be shown: without control characters where a terminal would obey them.
    func name(_ bytes: [UInt8]) -> [UInt8] {
        output.isTerminal ? Array(ByteText.shown(bytes).utf8) : bytes
    }

    /// The text in bold face, where the output is a terminal and the user allows colours.
    func emphasized(_ text: String) -> String {
        allowsColor ? "\u{1b}[1m\(text)\u{1b}[0m" : text
    }

    private var allowsColor: Bool {
        output.isTerminal && (Environment["NO_COLOR"] ?? "").isEmpty
            && Environment["TERM"] != "dumb"
    }

    /// A line to standard error, at once.
    static func complain(_ text: String) {
        if systemLog.load(ordering: .relaxed) {
            // The message is no format of its own.
            "%s".withCString { format in
                text.withCString { text in withVaList([text]) { vsyslog(LOG_WARNING, format, $0) } }
            }
            return
        }
        let line = Array("\(text)\n".utf8)
        _ = line.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}

extension Console {
    fileprivate static let systemLog = Atomic<Bool>(false)

    /// From now on what is said goes to the system's log: nobody sees standard error.
    static func speaksToSystemLog() {
        "gefs".withCString { name in
            // The log keeps the pointer.
            openlog(strdup(name), LOG_PID, LOG_DAEMON)
        }
        systemLog.store(true, ordering: .relaxed)
    }
}
