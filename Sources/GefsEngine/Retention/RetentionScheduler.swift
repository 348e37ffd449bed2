import GefsFormat

/// The thread that makes and deletes automatic snapshots. Source: SEMANTICS 8.3.
///
/// Every five seconds it looks at each branch that is in use. What it cannot do it says once and
/// tries again at the next look; it never makes the volume refuse anything.
final class RetentionScheduler: @unchecked Sendable {
    /// What is known of a branch since the volume was opened.
    private struct Watch {
        var policy: RetentionPolicy?
        /// What is set in the branch's own tree, as of the state that its label named then.
        var own: [UInt8]?
        var generation: Generation?
        /// Nil until snapshots have been looked at, and when names have to be looked at again.
        var memory: RetentionPlan.Memory?
        /// Deletions that were put off.
        var hasMore = false
        /// What was last said about it.
        var complaint: String?
    }

    static let intervalNanoseconds: Int64 = 5_000_000_000
    /// Changes of one commit. A count that was lowered must not hold up the commits of others.
    static let changesMax = 2048

    private let lock = Lock()
    /// lock.
    private var isStopping = false
    private var thread: WorkerThread?

    /// Held during a look; it is what makes looks take turns.
    private let turn = Lock()
    /// turn.
    private var watches: [[UInt8]: Watch] = [:]
    /// turn. The branch that comes first at the next look, since there was no room for it.
    private var firstBranch: [UInt8]?

    // MARK: The thread

    /// Starts looking. Returns false when the system has no thread left.
    func start(_ volume: Volume) -> Bool {
        thread = WorkerThread { [self] in
            while waitForNextLook() { look(at: volume) }
        }
        return thread != nil
    }

    /// Ends the thread; a look that is under way is finished.
    func finish() {
        lock.locked {
            isStopping = true
            lock.signal()
        }
        thread?.join()
        thread = nil
    }

    private func waitForNextLook() -> Bool {
        lock.locked {
            let deadline = Volume.monotonicNanoseconds() + Self.intervalNanoseconds
            while !isStopping {
                let rest = deadline - Volume.monotonicNanoseconds()
                if rest <= 0 { return true }
                lock.wait(nanoseconds: rest)
            }
            return false
        }
    }

    // MARK: A look

    /// Makes the snapshots that are due now, and deletes those that are not kept any more.
    func look(at volume: Volume) {
        turn.lock()
        defer { turn.unlock() }
        guard !volume.isReadOnly, !volume.hasFailed else { return }
        let now = floorDivide(volume.now(), 1_000_000_000).quotient
        let branches = volume.scheduledBranches()
        watches = watches.filter { branches.contains($0.key) }
        let standard: [UInt8]?
        let unreadable: Set<[UInt8]>
        do throws(FileError) {
            unreadable = try readSettings(of: branches, volume)
            standard = try volume.snapshots.value(Key.config(RetentionPolicy.key))
        } catch {
            for branch in branches { complain(branch, "no automatic snapshots: \(error)", volume) }
            return
        }
        let due = branches.filter {
            !unreadable.contains($0) && needsPlan($0, standard, volume, now)
        }
        guard !due.isEmpty else { return }
        var round = RetentionRound(volume, changesMax: Self.changesMax)
        let start = due.firstIndex { $0 == firstBranch } ?? 0
        for branch in due[start...] + due[..<start] {
            guard let watch = watches[branch], let policy = watch.policy else { continue }
            round.add(branch, policy: policy, now: now, memory: watch.memory)
        }
        firstBranch = round.firstWithoutRoom
        do throws(FileError) {
            try round.perform()
        } catch {
            for branch in due { complain(branch, "no automatic snapshots: \(error)", volume) }
            return
        }
        for branch in due {
            watches[branch]?.memory = round.memories[branch]
            watches[branch]?.hasMore = round.unfinished.contains(branch)
            complain(branch, round.complaints[branch], volume)
        }
    }

    /// Reads the schedules in the trees of those branches that have changed since the last time.
    ///
    /// - Returns: the branches whose trees cannot be read.
    private func readSettings(
        of branches: [[UInt8]], _ volume: Volume
    ) throws(FileError) -> Set<[UInt8]> {
        let stale = branches.filter { branch in
            volume.history.label(branch)?.generation != watches[branch]?.generation
        }
        guard !stale.isEmpty else { return [] }
        // Deletions are decided on that thread, too: none is refused because of this look.
        let found = try volume.onFlushThread { volume in
            stale.map { branch in
                (volume.history.label(branch)?.generation, volume.ownRetention(of: branch))
            }
        }
        var unreadable: Set<[UInt8]> = []
        for (branch, (generation, result)) in zip(stale, found) {
            switch result {
            case .success(let own):
                watches[branch, default: Watch()].own = own
                watches[branch, default: Watch()].generation = generation
            case .failure(let error):
                unreadable.insert(branch)
                complain(branch, "its retention schedule cannot be read: \(error)", volume)
            }
        }
        return unreadable
    }

    /// Whether there may be something to do for a branch, without a look at the labels.
    private func needsPlan(
        _ branch: [UInt8], _ standard: [UInt8]?, _ volume: Volume, _ now: Int64
    ) -> Bool {
        var watch = watches[branch] ?? Watch()
        defer { watches[branch] = watch }
        let setting = RetentionSetting(own: watch.own, volume: standard)
        guard let policy = setting.policy else {
            // The original aborts (SEMANTICS 12.27).
            watch.policy = nil
            let text = String(decoding: setting.text, as: UTF8.self)
            complain(&watch, branch, "no automatic snapshots: bad schedule '\(text)'", volume)
            return false
        }
        let isNew = watch.policy != policy
        watch.policy = policy
        if policy.rules.isEmpty {
            watch.complaint = nil
            return false
        }
        if isNew || watch.hasMore { return true }
        return policy.rules.contains { rule in
            guard let last = watch.memory?[rule.unit] else { return true }
            return last > now || RetentionPlan.isDue(rule, last: last, now: now)
        }
    }

    /// Says something once, until something else is to be said.
    private func complain(_ branch: [UInt8], _ text: String?, _ volume: Volume) {
        var watch = watches[branch] ?? Watch()
        complain(&watch, branch, text, volume)
        watches[branch] = watch
    }

    private func complain(
        _ watch: inout Watch, _ branch: [UInt8], _ text: String?, _ volume: Volume
    ) {
        if let text, text != watch.complaint {
            volume.log("\(String(decoding: branch, as: UTF8.self)): \(text)")
        }
        watch.complaint = text
    }
}

extension Volume {
    var hasFailed: Bool { lock.locked { failure != nil } }

    fileprivate func ownRetention(of branch: [UInt8]) -> Result<[UInt8]?, FileError> {
        do throws(FileError) {
            return .success(try configuration(RetentionPolicy.key, of: branch))
        } catch {
            return .failure(error)
        }
    }

    /// The branches that the schedule looks at, in label order: those that somebody has attached
    /// to since the volume was opened, and on disks of dialect N `adm`, which is always in use there.
    fileprivate func scheduledBranches() -> [[UInt8]] {
        var names = lock.locked { usedLabels }
        if dialect == .n { names.insert(LabelName.adm) }
        return names.filter { history.label($0)?.isMutable ?? false }
            .sorted { $0.lexicographicallyPrecedes($1) }
    }
}
