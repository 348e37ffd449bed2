import Dispatch
import GefsControl

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Waits for what ends a server: a signal, the console's `halt`, the end of standard input.
///
/// Signals are taken by a thread that waits for them, so that no code of ours runs in a handler.
final class StopRequest: Sendable {
    private let requested = DispatchSemaphore(value: 0)

    /// Blocks SIGINT and SIGTERM for this thread and those that it starts, and waits for them on
    /// another. To be called before any other thread is made.
    ///
    /// - Throws: `CommandFailure` where the system has no thread left.
    func takeSignals() throws {
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGINT)
        sigaddset(&signals, SIGTERM)
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        let awaited = signals
        let isStarted = DetachedThread.start { [self] in
            var awaited = awaited
            var number: Int32 = 0
            while sigwait(&awaited, &number) != 0 {}
            request()
            while sigwait(&awaited, &number) != 0 {}
            // The second one: at once, as after a crash.
            _exit(ExitStatus.interrupted.rawValue)
        }
        guard isStarted else { throw CommandFailure("serve", "no more threads") }
        // What came before the signals were blocked has been counted only.
        if Interruption.isPending { request() }
    }

    /// Asks for the end; may be called from any thread, and more than once.
    func request() {
        requested.signal()
    }

    /// Returns when somebody has asked for the end.
    func wait() {
        requested.wait()
    }
}
