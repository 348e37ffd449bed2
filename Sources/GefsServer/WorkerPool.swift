import NIOCore

/// Something to be done on a thread that may block.
protocol PoolJob: AnyObject, Sendable {
    func run()
}

/// A bounded number of threads that take jobs in order, started as they are needed.
///
/// The queue itself has no bound: each connection bounds what it has outstanding.
final class WorkerPool: Sendable {
    private struct State {
        var jobs = CircularBuffer<any PoolJob>()
        var threadCount = 0
        var idleCount = 0
        var isShutDown = false
    }

    private let state = Condition(State())
    private let threadsMax: Int

    init(threadsMax: Int) {
        self.threadsMax = threadsMax
    }

    /// Lets some thread run the job. After `shutDown` the caller runs it.
    func submit(_ job: any PoolJob) {
        enum Answer { case queued, queuedForNewThread, refused }
        let answer = state.withLock { state -> Answer in
            guard !state.isShutDown else { return .refused }
            state.jobs.append(job)
            guard state.idleCount < state.jobs.count, state.threadCount < threadsMax else {
                return .queued
            }
            state.threadCount += 1
            return .queuedForNewThread
        }
        switch answer {
        case .queued: state.wakeOne()
        case .queuedForNewThread: DetachedThread.start { [self] in work() }
        case .refused: job.run()
        }
    }

    /// Waits until every job is done and every thread has ended.
    func shutDown() {
        state.withLock { $0.isShutDown = true }
        state.wakeAll()
        state.wait { $0.threadCount == 0 }
    }

    private func work() {
        while let job = nextJob() { job.run() }
        state.withLock { $0.threadCount -= 1 }
        state.wakeAll()
    }

    /// The job that has waited longest; nil when the pool is shut down.
    private func nextJob() -> (any PoolJob)? {
        state.take { state -> Condition<State>.Attempt<any PoolJob> in
            if let job = state.jobs.popFirst() { return .taken(job) }
            return state.isShutDown ? .finished : .wait
        } aroundWaiting: { state, difference in
            state.idleCount += difference
        }
    }
}
