#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A thread that runs one closure and is waited for.
struct CheckThread {
    private final class Body {
        let run: @Sendable () -> Void

        init(_ run: @escaping @Sendable () -> Void) {
            self.run = run
        }
    }

    private let thread: pthread_t

    /// Starts a thread.
    ///
    /// - Returns: `nil` when the system has none left.
    init?(_ run: @escaping @Sendable () -> Void) {
        let body = Unmanaged.passRetained(Body(run))
        #if canImport(Darwin)
            var created: pthread_t?
            let result = pthread_create(&created, nil, { Self.start($0) }, body.toOpaque())
            guard result == 0, let created else {
                body.release()
                return nil
            }
            thread = created
        #else
            var created = pthread_t()
            let result = pthread_create(&created, nil, { Self.start($0) }, body.toOpaque())
            guard result == 0 else {
                body.release()
                return nil
            }
            thread = created
        #endif
    }

    private static func start(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
        guard let argument else { return nil }
        Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run()
        return nil
    }

    /// Waits until the closure has returned.
    func join() {
        pthread_join(thread, nil)
    }
}
