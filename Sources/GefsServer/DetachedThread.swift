#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Threads of ours that nobody joins.
enum DetachedThread {
    /// Deep enough for the recursion of tree lookups, in bytes.
    private static let stackBytes = 4 << 20

    private final class Start: Sendable {
        let body: @Sendable () -> Void

        init(_ body: @escaping @Sendable () -> Void) {
            self.body = body
        }
    }

    /// Runs `body` on a new thread; where the system has none left, on this one.
    static func start(_ body: @escaping @Sendable () -> Void) {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        pthread_attr_setstacksize(&attributes, stackBytes)
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        defer { pthread_attr_destroy(&attributes) }
        let start = Unmanaged.passRetained(Start(body))
        #if canImport(Glibc)
            var thread = pthread_t()
            let status = pthread_create(
                &thread, &attributes,
                { pointer in
                    guard let pointer else { return nil }
                    Unmanaged<Start>.fromOpaque(pointer).takeRetainedValue().body()
                    return nil
                }, start.toOpaque())
        #else
            var thread: pthread_t?
            let status = pthread_create(
                &thread, &attributes,
                { pointer in
                    Unmanaged<Start>.fromOpaque(pointer).takeRetainedValue().body()
                    return nil
                }, start.toOpaque())
        #endif
        if status != 0 { start.takeRetainedValue().body() }
    }
}
