/// What an exploration has come to.
public struct CrashReport: Sendable {
    /// Failures that look alike.
    public struct Failures: Sendable {
        /// The first one.
        public var failure: CrashFailure
        /// The workload, its seed and the place where it was met.
        public var workload: String
        public var seed: UInt64
        public var place: CrashPlace?
        /// How many there are.
        public var count: Int
    }

    /// What one workload took part with.
    public struct Share: Sendable {
        /// Recordings made.
        public var recordings = 0
        /// Disks opened, checked and compared after one crash.
        public var states = 0
        /// The same after two crashes.
        public var secondStates = 0
        /// Disks that had been looked at before, byte by byte.
        public var duplicates = 0
        /// Intervals between flushes, and those of which every state was looked at.
        public var intervals = 0
        public var wholeIntervals = 0
    }

    /// By the workload's name.
    public internal(set) var shares: [String: Share] = [:]
    /// One for each kind of failure, the most frequent first.
    public internal(set) var failures: [Failures] = []

    /// Disks opened, checked and compared.
    public var stateCount: Int { shares.values.reduce(0) { $0 + $1.states + $1.secondStates } }
    /// Of these, the ones that a second crash left.
    public var secondStateCount: Int { shares.values.reduce(0) { $0 + $1.secondStates } }
    public var duplicateCount: Int { shares.values.reduce(0) { $0 + $1.duplicates } }

    mutating func add(_ other: CrashReport) {
        for (name, share) in other.shares {
            shares[name, default: Share()].add(share)
        }
        for failures in other.failures { add(failures) }
    }

    mutating func add(_ more: Failures) {
        let signature = more.failure.signature
        if let index = failures.firstIndex(where: { $0.failure.signature == signature }) {
            failures[index].count += more.count
        } else {
            failures.append(more)
        }
    }
}

extension CrashReport.Share {
    mutating func add(_ other: CrashReport.Share) {
        recordings += other.recordings
        states += other.states
        secondStates += other.secondStates
        duplicates += other.duplicates
        intervals += other.intervals
        wholeIntervals += other.wholeIntervals
    }
}
