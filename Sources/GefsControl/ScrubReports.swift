import GefsEngine

/// A damaged block that a scrub has found, and the files that it hits.
public struct DamagedBlockReport: Report {
    public static var type: String { "damage" }

    /// Address of the block, in hexadecimal.
    public var block: String
    public var message: String
    /// `label/path` of files that cannot be read wholly, or not found.
    public var files: [String]
    /// Whether more files are hit than are listed.
    public var moreFiles: Bool

    init(_ finding: ScrubFinding) {
        block = "0x" + String(finding.address, radix: 16)
        message = finding.message
        files = finding.files
        moreFiles = finding.hasMoreFiles
    }

    func lines() -> [String] {
        ["error: \(message)"] + files.map { "    hits \($0)" }
            + (moreFiles ? ["    may hit more files"] : [])
    }
}

/// How a scrub is going, or what the last one came to.
public struct ScrubReport: Report {
    public static var type: String { "scrub" }

    /// `running`, `paused`, `done`, `cancelled`, or `never` where none is known of.
    public var state: String
    /// Bytes read, by the scrub that is under way or by the last one.
    public var bytes: UInt64
    /// Bytes to be read in all, an estimate; of a scrub that is under way.
    public var total: UInt64?
    /// Bytes a second at most; of a scrub that is under way.
    public var rate: UInt64?
    /// Damaged blocks.
    public var findings: Int
    /// When the last scrub began and ended.
    public var started: String?
    public var ended: String?

    public init(_ state: ScrubState) {
        if state.isRunning {
            self.state = state.isPaused ? "paused" : "running"
            bytes = state.bytesDone
            total = state.bytesTotal
            rate = state.rate
            findings = state.findingCount
        } else if let last = state.last {
            self.state = last.isComplete ? "done" : "cancelled"
            bytes = last.byteCount
            findings = last.findingCount
            started = Timestamp.text(seconds: last.started / 1_000_000_000)
            ended = Timestamp.text(seconds: last.ended / 1_000_000_000)
        } else {
            self.state = "never"
            bytes = 0
            findings = 0
        }
    }

    /// Whether a scrub is under way.
    public var isUnderWay: Bool { state == "running" || state == "paused" }

    func line(_ size: (UInt64) -> String) -> String {
        let damage =
            findings == 0
            ? "nothing damaged" : "\(findings) damaged \(findings == 1 ? "block" : "blocks")"
        switch state {
        case "never": return "never scrubbed"
        case "running", "paused":
            return "scrub \(state): \(size(bytes)) of \(size(total ?? 0)), \(damage)"
        default:
            return "scrub \(state) \(ended ?? ""): \(size(bytes)) verified, \(damage)"
        }
    }
}
