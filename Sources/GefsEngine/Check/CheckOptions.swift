/// How a check is made.
public struct CheckOptions: Hashable, Sendable {
    /// Whether file data is read and its hashes are verified; that is most of the work. Its
    /// ownership is checked in any case.
    public var verifiesData = true
    /// How many findings of one kind the report lists; all are counted.
    public var findingsPerKindMax = 20

    /// Whether the report lists where leaked blocks lie.
    public var listsLeaks = false
    /// Whether the files of a snapshot are compared with those of a related one, instead of being
    /// read wholly. The result is the same.
    var comparesRelatives = true

    /// A full check.
    public init() {}
}

/// How far a check has come.
public struct CheckProgress: Hashable, Sendable {
    /// What is being done.
    public enum Phase: Hashable, Sendable {
        /// Superblocks, arenas and logs are read.
        case loading
        /// Snapshot records and deadlists are read, and the nodes of all trees are.
        case trees
        /// The files of each snapshot are checked.
        case files
        /// File data is read.
        case data
    }

    /// What is being done.
    public var phase: Phase
    /// Bytes read so far.
    public var bytesDone: UInt64
    /// Bytes to be read in all; an estimate until the data phase.
    public var bytesTotal: UInt64

    /// Where a check stands.
    public init(phase: Phase, bytesDone: UInt64, bytesTotal: UInt64) {
        self.phase = phase
        self.bytesDone = bytesDone
        self.bytesTotal = bytesTotal
    }
}
