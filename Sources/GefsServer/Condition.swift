#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A value guarded by a lock, and threads that wait until it changes.
final class Condition<State>: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var state: State

    init(_ state: State) {
        self.state = state
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    func withLock<R>(_ body: (inout State) -> R) -> R {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body(&state)
    }

    func wakeOne() {
        pthread_cond_signal(condition)
    }

    func wakeAll() {
        pthread_cond_broadcast(condition)
    }

    func wait(until isReached: (State) -> Bool) {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while !isReached(state) { pthread_cond_wait(condition, mutex) }
    }

    /// What an attempt to take something from the state gave.
    enum Attempt<Value> {
        case taken(Value)
        case wait
        case finished
    }

    /// Waits until `attempt` takes something; nil when it says that nothing will come any more.
    /// `aroundWaiting` gets 1 before and -1 after each wait.
    func take<Value>(
        _ attempt: (inout State) -> Attempt<Value>, aroundWaiting: (inout State, Int) -> Void
    ) -> Value? {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while true {
            switch attempt(&state) {
            case .taken(let value): return value
            case .finished: return nil
            case .wait:
                aroundWaiting(&state, 1)
                pthread_cond_wait(condition, mutex)
                aroundWaiting(&state, -1)
            }
        }
    }
}
