#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A thread of ours that runs one function to its end.
package final class WorkerThread: @unchecked Sendable {
    private final class Start: Sendable {
        let body: @Sendable () -> Void

        init(_ body: @escaping @Sendable () -> Void) {
            self.body = body
        }
    }

    #if canImport(Glibc)
        private var thread = pthread_t()
    #else
        private var thread: pthread_t?
    #endif
    private var isJoined = false

    /// Starts a thread with a stack that bears the recursion of tree updates.
    ///
    /// - Returns: nil when the system has none left.
    package init?(_ body: @escaping @Sendable () -> Void) {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        pthread_attr_setstacksize(&attributes, 8 << 20)
        let start = Unmanaged.passRetained(Start(body))
        let result = pthread_create(
            &thread, &attributes,
            { pointer in
                #if canImport(Glibc)
                    let start = Unmanaged<Start>.fromOpaque(pointer!).takeRetainedValue()
                #else
                    let start = Unmanaged<Start>.fromOpaque(pointer).takeRetainedValue()
                #endif
                start.body()
                return nil
            }, start.toOpaque())
        pthread_attr_destroy(&attributes)
        guard result == 0 else {
            start.release()
            return nil
        }
    }

    /// Waits until the function has returned. Called at most once.
    package func join() {
        guard !isJoined else { return }
        isJoined = true
        #if canImport(Glibc)
            pthread_join(thread, nil)
        #else
            if let thread { pthread_join(thread, nil) }
        #endif
    }
}
