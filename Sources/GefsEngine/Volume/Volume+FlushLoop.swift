import GefsFormat

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// What the flush thread is asked for. Guarded by the volume's lock.
struct FlushRequests {
    /// Too much is in memory.
    var wantsFlush = false
    var wantsCommit = false
    /// Callers that wait for labels to change.
    var history: [HistoryRequest] = []
    /// A commit has left something to be taken apart by the next one.
    var hasLeftovers = false
    /// Commits begun and durable, counted from 1. What was acknowledged before a commit began is
    /// in it.
    var started: UInt64 = 0
    var durable: UInt64 = 0
    /// Something was flushed that no commit contains.
    var hasUncommitted = false
    /// What else is to run on the flush thread, between flushes and commits.
    var errands: [() -> Void] = []
    var isStopping = false
    var isStopped = false
}

extension Volume {
    /// Starts the threads that write.
    func start() throws(FileError) {
        guard !isReadOnly else { return }
        requests.hasLeftovers = hasLeftovers
        flushThread = WorkerThread { [self] in flushLoop() }
        guard flushThread != nil, reclaimer.start(),
            !options.takesSnapshots || scheduler.start(self)
        else {
            stop()
            throw .outOfThreads
        }
    }

    func requestFlush() {
        lock.locked {
            requests.wantsFlush = true
            lock.signal()
        }
    }

    /// Returns when everything acknowledged before the call is durable.
    ///
    /// Callers that wait at the same time share one commit.
    /// - Throws: what made the volume refuse changes, from now on to every caller.
    func sync(evenIfClean: Bool = false) throws(FileError) {
        guard !isReadOnly else { return }
        let dirty = evenIfClean || isDirty
        try lock.locked { () throws(FileError) -> Void in
            if let failure { throw failure }
            if requests.isStopped { throw .closed }
            var target = requests.started
            if dirty || requests.hasUncommitted {
                target += 1
                requests.wantsCommit = true
                lock.signal()
            }
            while requests.durable < target {
                if let failure { throw failure }
                if requests.isStopped { throw .closed }
                lock.wait()
            }
        }
    }

    /// Like `sync`, and returns only when what the commit freed can be taken again.
    func syncAndReclaim(evenIfClean: Bool = false) throws(FileError) {
        try sync(evenIfClean: evenIfClean)
        // A commit is acknowledged before its frees are done; this runs behind them.
        try onFlushThread { _ in }
    }

    /// Runs a function where nothing is being flushed or committed, and waits for it. A volume that
    /// refuses changes runs it, too: what it sees is not always what a commit left.
    ///
    /// - Throws: `.closed`.
    func onFlushThread<Result>(
        _ body: @escaping (Volume) -> Result
    ) throws(FileError) -> Result {
        // Without the thread nothing changes that it owns.
        if flushThread == nil { return body(self) }
        var result: Result?
        try lock.locked { () throws(FileError) -> Void in
            if requests.isStopped { throw failure ?? .closed }
            requests.errands.append { [self] in
                let value = body(self)
                lock.locked {
                    result = value
                    lock.signal()
                }
            }
            lock.signal()
            while result == nil {
                if requests.isStopped { throw failure ?? .closed }
                lock.wait()
            }
        }
        guard let result else { throw .closed }
        return result
    }

    /// Waits until nothing is left of what was deleted, and the space can be taken again.
    func drainHistory(while goesOn: () -> Bool = { true }) throws(FileError) {
        guard !isReadOnly else { return }
        while goesOn(), try onFlushThread({ $0.hasLeftovers }) {
            try sync(evenIfClean: true)
        }
        try syncAndReclaim()
    }

    /// Whether the next commit has something to take apart. Flush thread only.
    var hasLeftovers: Bool { !dropQueue.isEmpty && !isDropStalled || !backlog.isEmpty }

    /// Whether any branch holds what is not in a commit.
    var isDirty: Bool {
        !changed.isEmpty
    }

    private func flushLoop() {
        var lastCommit = Self.monotonicNanoseconds()
        while let task = nextTask(lastCommit) {
            do throws(FileError) {
                switch task {
                case .errand(let body):
                    body()
                case .flush:
                    try flushLargeBranches()
                case .commit:
                    try commit()
                    lastCommit = Self.monotonicNanoseconds()
                case .tick:
                    lastCommit = Self.monotonicNanoseconds()
                    if isDirty || lock.locked({ requests.hasUncommitted }) {
                        try commit()
                        noteLookups()
                    } else {
                        giveBackMemory()
                    }
                }
            } catch {
                fail(error)
            }
        }
        lock.locked {
            requests.isStopped = true
            lock.signal()
        }
    }

    private enum Task {
        case errand(() -> Void)
        case flush
        case commit
        case tick
    }

    /// Waits for something to do; nil when the thread is to end.
    private func nextTask(_ lastCommit: Int64) -> Task? {
        lock.locked {
            while true {
                if let errand = requests.errands.first {
                    requests.errands.removeFirst()
                    return .errand(errand)
                }
                if failure != nil {
                    // Nothing is written any more; those who only look are served on.
                    if requests.isStopping { return nil }
                    lock.wait()
                    continue
                }
                if requests.wantsCommit { return .commit }
                if requests.isStopping { return nil }
                if requests.hasLeftovers { return .commit }
                if requests.wantsFlush {
                    requests.wantsFlush = false
                    return .flush
                }
                guard let interval = options.commitIntervalNanoseconds else {
                    lock.wait()
                    continue
                }
                let rest = lastCommit + interval - Self.monotonicNanoseconds()
                if rest <= 0 { return .tick }
                lock.wait(nanoseconds: rest)
            }
        }
    }

    /// Flushes the branches with the most changes until little is left in memory.
    private func flushLargeBranches() throws(FileError) {
        func isTooMuch() -> Bool {
            unflushedBytes.load(ordering: .relaxed) > options.flushBytes / 2
        }
        while isTooMuch() {
            let sized = changed.all.map { branch in
                (branch: branch, bytes: branch.lock.locked { branch.activeBytes })
            }.filter { $0.bytes > 0 }.sorted { $0.bytes > $1.bytes }
            if sized.isEmpty { return }
            for (branch, _) in sized where isTooMuch() {
                branch.lock.locked { branch.freeze() }
                try flush(branch)
                // A commit that somebody waits for comes first; it flushes everything anyway.
                if lock.locked({ requests.wantsCommit || !requests.errands.isEmpty }) { return }
            }
        }
    }

    /// From now on changes are refused, and everybody who waits learns why.
    func fail(_ error: FileError) {
        lock.locked {
            if failure == nil { failure = error }
            // No label leaves any more, so nobody has to wait for that.
            leaving = []
            lock.signal()
        }
        log("changes are refused from now on: \(error.reason)")
    }

    static func monotonicNanoseconds() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
