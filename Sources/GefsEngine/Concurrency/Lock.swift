#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A plain mutual exclusion lock with condition waiting.
///
/// What it guards is said where the lock is declared. Held for memory work only: no code of ours
/// does device I/O inside, except where the declaration says so.
///
/// A reference, however often it is copied. One allocation holds all of it, since each open file has one.
package struct Lock: @unchecked Sendable {
    @usableFromInline
    package final class Storage: ManagedBuffer<pthread_mutex_t, pthread_cond_t> {
        deinit {
            withUnsafeMutablePointers { mutex, condition in
                pthread_mutex_destroy(mutex)
                pthread_cond_destroy(condition)
            }
        }
    }

    @usableFromInline
    let storage: Storage

    package init() {
        let made = Storage.create(minimumCapacity: 1) { _ in pthread_mutex_t() }
        storage = unsafeDowncast(made, to: Storage.self)
        storage.withUnsafeMutablePointers { mutex, condition in
            pthread_mutex_init(mutex, nil)
            #if os(Linux)
                var attributes = pthread_condattr_t()
                pthread_condattr_init(&attributes)
                pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
                pthread_cond_init(condition, &attributes)
                pthread_condattr_destroy(&attributes)
            #else
                pthread_cond_init(condition, nil)
            #endif
        }
    }

    @inlinable @inline(__always)
    var mutex: UnsafeMutablePointer<pthread_mutex_t> {
        storage.withUnsafeMutablePointerToHeader { $0 }
    }

    @inlinable @inline(__always)
    var condition: UnsafeMutablePointer<pthread_cond_t> {
        storage.withUnsafeMutablePointerToElements { $0 }
    }

    @inlinable @inline(__always)
    package func locked<R, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body()
    }

    @inlinable @inline(__always)
    package func lock() {
        pthread_mutex_lock(mutex)
    }

    @inlinable @inline(__always)
    package func unlock() {
        pthread_mutex_unlock(mutex)
    }

    /// Gives the lock up until `signal` is called; to be called with the lock held, in a loop.
    package func wait() {
        pthread_cond_wait(condition, mutex)
    }

    /// Like `wait`, for at most `nanoseconds`.
    package func wait(nanoseconds: Int64) {
        var deadline = timespec()
        #if os(Linux)
            clock_gettime(CLOCK_MONOTONIC, &deadline)
        #else
            clock_gettime(CLOCK_REALTIME, &deadline)
        #endif
        let total = Int64(deadline.tv_nsec) + nanoseconds
        deadline.tv_sec += Int(total / 1_000_000_000)
        deadline.tv_nsec = Int(total % 1_000_000_000)
        pthread_cond_timedwait(condition, mutex, &deadline)
    }

    /// Wakes everybody who waits.
    package func signal() {
        pthread_cond_broadcast(condition)
    }
}
