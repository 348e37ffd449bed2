#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A detached thread that runs one closure.
struct ControlThread {
    private final class Work: Sendable {
        let body: @Sendable () -> Void

        init(_ body: @escaping @Sendable () -> Void) {
            self.body = body
        }
    }

    private let work: Work

    init(_ body: @escaping @Sendable () -> Void) {
        work = Work(body)
    }

    /// Begins to run; false where the system has no thread left.
    func start() -> Bool {
        let context = Unmanaged.passRetained(work)
        #if canImport(Glibc)
            var thread = pthread_t()
        #else
            var thread: pthread_t?
        #endif
        let result = pthread_create(
            &thread, nil,
            { context in
                #if canImport(Glibc)
                    guard let context else { return nil }
                #endif
                Unmanaged<Work>.fromOpaque(context).takeRetainedValue().body()
                return nil
            }, context.toOpaque())
        guard result == 0 else {
            context.release()
            return false
        }
        #if canImport(Glibc)
            pthread_detach(thread)
        #else
            if let thread { pthread_detach(thread) }
        #endif
        return true
    }
}
