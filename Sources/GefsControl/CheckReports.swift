import GefsEngine
import GefsFormat

/// One thing that a check noticed.
public struct FindingReport: Report {
    public static var type: String { "finding" }

    /// `error`, `warning` or `note`.
    public var severity: String
    /// A stable word for what was found, as `node.fill`.
    public var kind: String
    /// Address of the block, in hexadecimal, where it is about one.
    public var block: String?
    public var message: String

    init(_ finding: Finding) {
        severity = "\(finding.severity)"
        kind = finding.kind
        block = finding.address.map { "0x" + String($0.rawValue, radix: 16) }
        message = "\(finding)"
    }
}

/// What a check came to.
public struct CheckResultReport: Report {
    public static var type: String { "check" }

    public struct Kind: Codable, Sendable {
        public var kind: String
        public var severity: String
        public var count: Int
        /// How many of them were listed as findings.
        public var listed: Int
    }

    /// `ok`, `warnings` or `broken`.
    public var result: String
    public var errors: Int
    public var warnings: Int
    /// False where the check could not look at everything.
    public var complete: Bool
    public var kinds: [Kind]
    public var arenas: Int
    public var allocatedBlocks: Int
    public var leakedBlocks: Int
    public var labels: Int
    public var snapshots: Int
    public var deadlists: Int
    public var commit: UInt64
    public var nextGeneration: UInt64
    public var nextQid: UInt64
    public var verifiedBlocks: Int
    public var verifiedBytes: UInt64
    /// The totals in one line.
    public var summary: String

    public init(_ report: CheckReport) {
        errors = report.errorCount
        warnings = report.warningCount
        result = errors > 0 ? "broken" : warnings > 0 ? "warnings" : "ok"
        complete = report.isComplete
        kinds = report.counts.map { kind in
            Kind(
                kind: kind.kind, severity: "\(kind.severity)", count: kind.count,
                listed: report.findings.count {
                    $0.kind == kind.kind && $0.severity == kind.severity
                })
        }
        let totals = report.totals
        arenas = totals.arenas
        allocatedBlocks = totals.allocatedBlocks
        leakedBlocks = totals.leakedBlocks
        labels = totals.labels
        snapshots = totals.snapshots
        deadlists = totals.deadlists
        commit = totals.commitGeneration
        nextGeneration = totals.nextGeneration
        nextQid = totals.nextQid
        verifiedBlocks = totals.verifiedBlocks
        verifiedBytes = totals.verifiedBytes
        summary = totals.description
    }
}

/// What a repair has put right.
public struct RepairResultReport: Report {
    public static var type: String { "repair" }

    /// Snapshots that no label named, which are gone.
    public var droppedSnapshots: Int
    /// Snapshot records that counted labels or forks wrongly.
    public var correctedCounts: Int
    /// Deadlists that made no sense.
    public var discardedLists: Int
    /// Blocks that nothing used, which are free now.
    public var reclaimedBlocks: Int
    public var reclaimedBytes: UInt64

    init(_ report: RepairReport) {
        droppedSnapshots = report.droppedSnapshots
        correctedCounts = report.correctedCounts
        discardedLists = report.discardedLists
        reclaimedBlocks = report.reclaimedBlocks
        reclaimedBytes = UInt64(report.reclaimedBlocks) * UInt64(Geometry.blockBytes)
    }
}

/// One thing that a repair of an image puts right, or that is lost.
public struct RepairNoteReport: Report {
    public static var type: String { "repairNote" }

    /// `mended`, `lost`, `moved` or `left`.
    public var outcome: String
    /// What it is about, as `file`.
    public var subject: String
    public var labels: [String]
    public var path: String?
    /// Bytes of the file: the first, and the first behind.
    public var start: UInt64?
    public var end: UInt64?
    public var message: String

    public init(_ note: RepairNote) {
        outcome = note.outcome.rawValue
        subject = note.subject
        labels = note.labels
        path = note.path
        start = note.range?.lowerBound
        end = note.range?.upperBound
        message = "\(note)"
    }
}

/// What a repair of an image comes to.
public struct DeviceRepairReport: Report {
    public static var type: String { "deviceRepair" }

    /// `nothing` to do, `planned`, `repaired`, or `left` as it is.
    public var result: String
    /// Errors and warnings that were found at first.
    public var errors: Int
    public var warnings: Int
    /// Blocks written, or to be written.
    public var blocks: Int
    /// Why nothing can be done.
    public var obstacle: String?

    public init(_ repair: DeviceRepair, isDryRun: Bool) {
        errors = repair.before.errorCount
        warnings = repair.before.warningCount
        blocks = repair.writeCount
        obstacle = repair.obstacle
        result =
            !repair.isComplete
            ? "left" : repair.isNothing ? "nothing" : isDryRun ? "planned" : "repaired"
    }

    var line: String {
        switch result {
        case "nothing": "nothing to repair"
        case "planned": "would be repaired: \(blocks) blocks to write"
        case "repaired": "repaired: \(blocks) blocks written"
        default: "left as it is: \(obstacle ?? "it cannot be repaired")"
        }
    }
}

extension CheckReport {
    /// Hands out the findings and the result.
    ///
    /// - Parameter isStrict: warnings count as findings, too.
    /// - Returns: the exit status that a check with this report has.
    public func send(
        isStrict: Bool, _ reply: (any Report) throws -> Void
    ) rethrows -> ExitStatus {
        for finding in findings { try reply(FindingReport(finding)) }
        try reply(CheckResultReport(self))
        if isCancelled { return .interrupted }
        if errorCount > 0 || !isComplete { return .findings }
        return isStrict && warningCount > 0 ? .findings : .done
    }
}
