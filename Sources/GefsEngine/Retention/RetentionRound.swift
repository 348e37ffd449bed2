import GefsFormat

/// The plans of several branches, carried out in one commit.
struct RetentionRound {
    private let volume: Volume
    /// How many changes are still taken.
    private var room: Int
    /// All labels that automatic snapshots may be of, by branch; read once.
    private let made: [[UInt8]: [RetentionPlan.Made]]

    private struct Making {
        var branch: [UInt8]
        var name: [UInt8]
    }

    private var making: [Making] = []
    private var deleting: [[UInt8]] = []

    /// What is to be remembered of a branch after `perform`; nothing where names have to be looked
    /// at again.
    private(set) var memories: [[UInt8]: RetentionPlan.Memory] = [:]
    /// Branches whose deletions are not all done.
    private(set) var unfinished: Set<[UInt8]> = []
    /// The first branch that there was no room for.
    private(set) var firstWithoutRoom: [UInt8]?
    /// What an operator should know, by branch.
    private(set) var complaints: [[UInt8]: String] = [:]

    init(_ volume: Volume, changesMax: Int) {
        self.volume = volume
        room = changesMax
        var made: [[UInt8]: [RetentionPlan.Made]] = [:]
        for (name, record, _) in volume.history.labels() where !record.isMutable {
            guard let at = name.lastIndex(of: UInt8(ascii: "@")),
                let snapshot = RetentionPlan.Made(
                    name: name, generation: record.generation.rawValue)
            else { continue }
            made[Array(name[..<at]), default: []].append(snapshot)
        }
        self.made = made
    }

    /// Takes up what is to be done for a branch.
    mutating func add(
        _ branch: [UInt8], policy: RetentionPolicy, now: Int64, memory: RetentionPlan.Memory?
    ) {
        let plan = RetentionPlan(
            branch: branch, policy: policy, made: made[branch] ?? [], now: now, memory: memory,
            zeroKeepsNone: volume.dialect == .n
        ) { volume.history.label($0) != nil }
        memories[branch] = plan.memory
        for name in plan.making {
            guard name.count <= Geometry.labelBytesMax else {
                complaints[branch] = "its name is too long for those of automatic snapshots"
                continue
            }
            guard room > 0 else {
                // Not made, so not remembered; those that are made tell it by their names.
                memories[branch] = nil
                putOff(branch)
                return
            }
            room -= 1
            making.append(Making(branch: branch, name: name))
        }
        for name in plan.deleting {
            guard room > 0 else { return putOff(branch) }
            guard !volume.isInUse(name) else {
                unfinished.insert(branch)
                continue
            }
            room -= 1
            deleting.append(name)
        }
    }

    private mutating func putOff(_ branch: [UInt8]) {
        unfinished.insert(branch)
        firstWithoutRoom = firstWithoutRoom ?? branch
    }

    /// Makes the changes in one commit. A label that refuses one is left out until the next look.
    ///
    /// - Throws: what keeps all of them from being made; then none is.
    mutating func perform() throws(FileError) {
        // Each attempt leaves something out, so this ends.
        while !making.isEmpty || !deleting.isEmpty {
            let changes =
                making.map { HistoryChange.snapshot(of: $0.branch, as: $0.name) }
                + deleting.map { .delete($0) }
            do throws(FileError) {
                return try volume.change(changes)
            } catch .label(let fault, let name) {
                guard leaveOut(name) else { throw .label(fault, name) }
            }
        }
    }

    /// Forgets what has to do with a label; false where nothing has.
    private mutating func leaveOut(_ name: [UInt8]) -> Bool {
        let count = making.count + deleting.count
        for making in making where making.name == name || making.branch == name {
            memories[making.branch] = nil
        }
        making.removeAll { $0.name == name || $0.branch == name }
        if deleting.contains(name), let snapshot = SnapshotTime(name: name) {
            unfinished.insert(snapshot.branch)
            deleting.removeAll { $0 == name }
        }
        return making.count + deleting.count < count
    }
}
