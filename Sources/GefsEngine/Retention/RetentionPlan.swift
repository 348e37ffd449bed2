/// What one look at the schedule of one branch finds to be done.
///
/// A pure function of what is there, the time and what is remembered. Source: SEMANTICS 8.3.
struct RetentionPlan: Hashable, Sendable {
    /// A snapshot that the schedule has made.
    struct Made: Hashable, Sendable {
        var name: [UInt8]
        var unit: SnapshotTime.Unit
        /// What its name says, in seconds since 1970.
        var seconds: Int64
        /// Which state it names: tells the true order, whatever clocks said.
        var generation: UInt64

        /// Nil for a label that no schedule has made.
        init?(name: [UInt8], generation: UInt64) {
            guard let parts = SnapshotTime(name: name) else { return nil }
            self.name = name
            unit = parts.unit
            seconds = parts.time.seconds
            self.generation = generation
        }

        /// Whether this one goes before the other.
        func isOlder(than other: Made) -> Bool {
            if generation != other.generation { return generation < other.generation }
            if seconds != other.seconds { return seconds < other.seconds }
            return name.lexicographicallyPrecedes(other.name)
        }
    }

    /// When the last snapshot of each unit was made, in seconds since 1970.
    typealias Memory = [SnapshotTime.Unit: Int64]

    /// Names of snapshots to make.
    var making: [[UInt8]] = []
    /// Names of snapshots to delete, the oldest first.
    var deleting: [[UInt8]] = []
    /// What to remember once they are made.
    var memory: Memory

    /// - Parameters:
    ///   - branch: name of the label.
    ///   - made: the branch's automatic snapshots.
    ///   - now: seconds since 1970.
    ///   - memory: nil at the first look since the volume was opened.
    ///   - zeroKeepsNone: what a count of 0 means: nothing is kept (dialect N), or all is.
    ///   - isTaken: whether a label has this name.
    init(
        branch: [UInt8], policy: RetentionPolicy, made: [Made], now: Int64, memory: Memory?,
        zeroKeepsNone: Bool, isTaken: ([UInt8]) -> Bool
    ) {
        self.memory = memory ?? [:]
        for rule in policy.rules {
            let ofUnit = made.filter { $0.unit == rule.unit }.sorted { $0.isOlder(than: $1) }
            if rule.count == 0, zeroKeepsNone {
                deleting += ofUnit.map(\.name)
                continue
            }
            var last = self.memory[rule.unit] ?? Self.last(of: ofUnit, now: now)
            // The clock went back: what counts is that a snapshot is there.
            if let known = last, known > now { last = now }
            var count = ofUnit.count
            if Self.isDue(rule, last: last, now: now) {
                if let name = Self.freeName(branch, rule.unit, now, isTaken) {
                    making.append(name)
                    count += 1
                }
                last = now
            }
            self.memory[rule.unit] = last
            if let limit = rule.count, limit > 0, count > limit {
                deleting += ofUnit.prefix(count - limit).map(\.name)
            }
        }
    }

    /// Whether the time has come for a snapshot.
    static func isDue(_ rule: RetentionPolicy.Rule, last: Int64?, now: Int64) -> Bool {
        guard let last else { return true }
        return floorDivide(now, rule.seconds).quotient > floorDivide(last, rule.seconds).quotient
    }

    /// When the last of these was made, told by their names.
    ///
    /// The newest state counts. Where its name lies in the future the clock has gone back since,
    /// and the latest name that does not is taken, else the present: a wrong clock in the past
    /// must not stop the schedule until its time comes again.
    private static func last(of made: [Made], now: Int64) -> Int64? {
        guard let newest = made.last else { return nil }
        let ofNewest = made.filter { $0.generation == newest.generation && $0.seconds <= now }
        if let time = ofNewest.last?.seconds { return time }
        return made.map(\.seconds).filter { $0 <= now }.max() ?? now
    }

    /// The name for a snapshot of now; a second or more later where the clock went back over names
    /// that exist. Nil where the clock shows no year that names can hold.
    private static func freeName(
        _ branch: [UInt8], _ unit: SnapshotTime.Unit, _ now: Int64, _ isTaken: ([UInt8]) -> Bool
    ) -> [UInt8]? {
        var seconds = now
        while let time = CivilTime(seconds: seconds) {
            let name = SnapshotTime(branch: branch, unit: unit, time: time).name
            if !isTaken(name) { return name }
            seconds += 1
        }
        return nil
    }
}
