import GefsEngine
import NIOCore

/// Threads that wait for commits, apart from those that read.
///
/// All syncs that have come when a thread gets to work share one commit: each asked for what was
/// acknowledged before it came.
final class SyncQueue: Sendable {
    private struct State {
        var requests: [PendingRequest] = []
        var threadCount = 0
        var idleCount = 0
        var isShutDown = false
    }

    /// One waits for the commit under way, one gathers for the next.
    private static let threadsMax = 2

    private let state = Condition(State())
    private let fileSystem: FileSystem

    init(fileSystem: FileSystem) {
        self.fileSystem = fileSystem
    }

    func submit(_ request: PendingRequest) {
        let needsThread = state.withLock { state -> Bool? in
            guard !state.isShutDown else { return nil }
            state.requests.append(request)
            guard state.idleCount == 0, state.threadCount < Self.threadsMax else { return false }
            state.threadCount += 1
            return true
        }
        switch needsThread {
        case .some(true): DetachedThread.start { [self] in work() }
        case .some(false): state.wakeOne()
        case .none: sync([request])
        }
    }

    /// Waits until every sync is done and every thread has ended.
    func shutDown() {
        state.withLock { $0.isShutDown = true }
        state.wakeAll()
        state.wait { $0.threadCount == 0 }
    }

    private func work() {
        while let batch = nextBatch() { sync(batch) }
        state.withLock { $0.threadCount -= 1 }
        state.wakeAll()
    }

    /// Everything that waits for a commit; nil when the queue is shut down.
    private func nextBatch() -> [PendingRequest]? {
        state.take { state -> Condition<State>.Attempt<[PendingRequest]> in
            if state.requests.isEmpty { return state.isShutDown ? .finished : .wait }
            defer { state.requests = [] }
            return .taken(state.requests)
        } aroundWaiting: { state, difference in
            state.idleCount += difference
        }
    }

    private func sync(_ batch: [PendingRequest]) {
        let started = batch.filter { $0.begin() }
        guard let first = started.first else { return }
        let caller = Caller(user: first.binding?.user ?? .none, mayBlock: true)
        let result = Result { () throws(FileError) in try fileSystem.sync(as: caller) }
        for request in started {
            request.connection.executor.finishSync(request, result)
            request.connection.complete(request)
        }
    }
}
