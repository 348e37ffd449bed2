import GefsFormat

/// What a check has found, and how much it has looked at.
public struct CheckReport: Hashable, Sendable {
    /// How often one kind of finding was met.
    public struct KindCount: Hashable, Sendable {
        /// `Finding.kind`.
        public var kind: String
        /// How much each of them matters.
        public var severity: Finding.Severity
        /// How many there are, those not listed included.
        public var count: Int
    }

    /// What the disk holds and what was verified.
    public struct Totals: Hashable, Sendable {
        /// Arenas.
        public var arenas = 0
        /// Blocks in use by the allocation logs, without those never handed out.
        public var allocatedBlocks = 0
        /// Of these, the ones that nothing refers to.
        public var leakedBlocks = 0
        /// Labels.
        public var labels = 0
        /// Snapshot records.
        public var snapshots = 0
        /// Deadlists of snapshots.
        public var deadlists = 0
        /// The barrier of the last commit.
        public var commitGeneration: UInt64 = 0
        /// The next generation to be handed out.
        public var nextGeneration: UInt64 = 0
        /// The next file's number.
        public var nextQid: UInt64 = 0
        /// Blocks that were read for their hash: nodes, file data and deadlists.
        public var verifiedBlocks = 0
        /// The same in bytes.
        public var verifiedBytes: UInt64 = 0
    }

    /// What was found, worst first, at most `CheckOptions.findingsPerKindMax` of each kind.
    public internal(set) var findings: [Finding] = []
    /// How much of each kind was found, worst first.
    public internal(set) var counts: [KindCount] = []
    /// What the disk holds and what was verified.
    public internal(set) var totals = Totals()
    /// Where leaked blocks lie, in bytes of the device, lowest first; only if they were asked for.
    /// They are leaked for sure only if nothing is broken and the check is complete.
    public internal(set) var leakedRanges: [Range<UInt64>] = []
    /// Whether the check came to its end: it was not cancelled, and nothing kept it from looking
    /// at the rest.
    public internal(set) var isComplete = false
    /// Whether the check was cancelled.
    public internal(set) var isCancelled = false

    /// Findings of this weight, those not listed included.
    public func count(of severity: Finding.Severity) -> Int {
        counts.reduce(0) { $1.severity == severity ? $0 + $1.count : $0 }
    }

    /// Findings of this kind, those not listed included.
    public func count(of kind: String) -> Int {
        counts.reduce(0) { $1.kind == kind ? $0 + $1.count : $0 }
    }

    /// How many errors there are.
    public var errorCount: Int { count(of: Finding.Severity.error) }
    /// How many warnings there are.
    public var warningCount: Int { count(of: Finding.Severity.warning) }
    /// Whether anything is wrong with the disk.
    public var isBroken: Bool { errorCount > 0 }
}

extension CheckReport.Totals: CustomStringConvertible {
    /// One line: `8 arenas, 1203 blocks allocated (36 leaked), 3 labels, …`.
    public var description: String {
        "\(arenas) arenas, \(allocatedBlocks) blocks allocated (\(leakedBlocks) leaked), "
            + "\(labels) labels, \(snapshots) snapshots, \(deadlists) deadlists, "
            + "qgen \(commitGeneration), nextgen \(nextGeneration), nextqid \(nextQid)"
    }
}
