import GefsFormat

/// The thread that verifies a volume's blocks beside everything else, at a bounded rate.
///
/// It starts when it is first needed. Only while it reads a few MiB is the volume kept from freeing
/// blocks; in between anything may be written and deleted.
final class Scrubber: @unchecked Sendable {
    private struct Request {
        var rate: UInt64
    }

    private let lock = Lock()
    /// lock. From here on as well.
    private var request: Request?
    private var state = ScrubState()
    private var isCancelled = false
    private var isStopping = false
    private var interval: Int64?
    private var thread: WorkerThread?

    /// What is known; `last` as of this opening.
    var current: ScrubState { lock.locked { state } }

    /// The result that the disk has kept.
    func remember(_ result: ScrubResult?) {
        lock.locked { if state.last == nil { state.last = result } }
    }

    /// Begins a scrub. Returns false when one is under way, or there is no thread for it.
    func start(_ volume: Volume, rate: UInt64) -> Bool {
        lock.locked {
            guard !state.isRunning, !isStopping, ensureThread(volume) else { return false }
            request = Request(rate: max(rate, UInt64(Geometry.blockBytes)))
            isCancelled = false
            state.isRunning = true
            state.isPaused = false
            state.bytesDone = 0
            state.bytesTotal = 0
            state.findingCount = 0
            state.rate = rate
            lock.signal()
            return true
        }
    }

    /// Scrubs whenever the last complete one is so long ago. Returns false where there is no thread.
    func schedule(_ volume: Volume, every nanoseconds: Int64, rate: UInt64) -> Bool {
        lock.locked {
            interval = nanoseconds
            state.rate = rate
            lock.signal()
            return ensureThread(volume)
        }
    }

    func setPaused(_ isPaused: Bool) {
        lock.locked {
            state.isPaused = isPaused && state.isRunning
            lock.signal()
        }
    }

    /// Ends the scrub that is under way; its result says so.
    func cancel() {
        lock.locked {
            isCancelled = true
            lock.signal()
        }
    }

    /// Waits until no scrub is under way.
    ///
    /// - Parameter goesOn: asked now and then whether to wait any longer, without the lock: it may
    ///   look how far the scrub is.
    func wait(while goesOn: () -> Bool) {
        while current.isRunning, goesOn() {
            lock.locked { if state.isRunning { lock.wait(nanoseconds: 100_000_000) } }
        }
    }

    /// Ends the thread; what was found so far is not kept.
    func finish() {
        let thread = lock.locked { () -> WorkerThread? in
            isStopping = true
            isCancelled = true
            lock.signal()
            defer { self.thread = nil }
            return self.thread
        }
        thread?.join()
    }

    /// Lock held.
    private func ensureThread(_ volume: Volume) -> Bool {
        if thread == nil, !isStopping {
            thread = WorkerThread { [self, unowned volume] in
                while let request = nextRequest(volume) { run(volume, request) }
            }
        }
        return thread != nil
    }

    private func nextRequest(_ volume: Volume) -> Request? {
        lock.locked {
            while !isStopping {
                if let next = request {
                    request = nil
                    return next
                }
                guard let interval else {
                    lock.wait()
                    continue
                }
                // The clock may go back: an end in the future counts as none.
                let now = volume.now()
                let last = state.last.flatMap { $0.isComplete ? $0.ended : nil } ?? 0
                if last > now || now - last >= interval {
                    state.isRunning = true
                    isCancelled = false
                    state.bytesDone = 0
                    state.findingCount = 0
                    return Request(rate: state.rate)
                }
                lock.wait(nanoseconds: min(interval - (now - last), 60_000_000_000))
            }
            return nil
        }
    }

    private func run(_ volume: Volume, _ request: Request) {
        let run = ScrubRun(volume) { [self] progress in pace(progress, request.rate) }
        let result = run.run()
        let isStopped = lock.locked { isStopping }
        if !isStopped { volume.keep(result) }
        lock.locked {
            state.last = result
            state.isRunning = false
            state.isPaused = false
            lock.signal()
        }
        for finding in result.findings { volume.log("scrub: \(finding.message)") }
    }

    /// Notes progress and waits until the rate allows more.
    ///
    /// - Returns: whether to go on.
    private func pace(_ progress: ScrubProgress, _ rate: UInt64) -> Bool {
        lock.locked {
            state.bytesDone = progress.bytesDone
            state.bytesTotal = progress.bytesTotal
            state.findingCount = progress.findingCount
            let nanoseconds = Double(progress.bytesSince) / Double(rate) * 1e9
            var end = Volume.monotonicNanoseconds() + Int64(min(nanoseconds, 1e15))
            while !isCancelled {
                let now = Volume.monotonicNanoseconds()
                if state.isPaused {
                    end = max(end, now)
                    lock.wait()
                } else if end > now {
                    lock.wait(nanoseconds: end - now)
                } else {
                    return true
                }
            }
            return false
        }
    }
}

/// How far a scrub is.
struct ScrubProgress {
    var bytesDone: UInt64 = 0
    var bytesTotal: UInt64 = 0
    /// Read since the last time.
    var bytesSince: UInt64 = 0
    var findingCount = 0
}
