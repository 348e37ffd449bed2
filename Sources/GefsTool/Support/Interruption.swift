import GefsControl
import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// SIGINT and SIGTERM: the first asks long work to stop where everything is in order, the second
/// ends the process at once, as a crash would.
enum Interruption {
    private static let signalsSeen = Atomic<Int>(0)
    /// A pipe that becomes readable with the first signal.
    private static let wakeRead = Atomic<Int32>(-1)
    private static let wakeWrite = Atomic<Int32>(-1)

    /// From now on signals are counted here.
    static func install() {
        // The count is made before a handler can run, since making it takes a lock.
        _ = signalsSeen.load(ordering: .relaxed)
        var ends: [Int32] = [-1, -1]
        if pipe(&ends) == 0 {
            for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
            wakeRead.store(ends[0], ordering: .relaxed)
            wakeWrite.store(ends[1], ordering: .relaxed)
        }
        var action = sigaction()
        #if canImport(Glibc)
            action.__sigaction_handler.sa_handler = Self.handler
        #else
            action.__sigaction_u.__sa_handler = Self.handler
        #endif
        sigemptyset(&action.sa_mask)
        // No SA_RESTART: a read from a terminal is to end, too.
        action.sa_flags = 0
        sigaction(SIGINT, &action, nil)
        sigaction(SIGTERM, &action, nil)
        signal(SIGPIPE, SIG_IGN)
    }

    private static let handler: @convention(c) (Int32) -> Void = { _ in
        let (before, _) = signalsSeen.add(1, ordering: .relaxed)
        if before > 0 { _exit(ExitStatus.interrupted.rawValue) }
        var byte: UInt8 = 0
        _ = write(wakeWrite.load(ordering: .relaxed), &byte, 1)
    }

    /// Whether somebody wants the tool to end.
    static var isPending: Bool { signalsSeen.load(ordering: .relaxed) > 0 }

    /// - Throws: a `CommandFailure` with status 130 where the tool is to end.
    static func check() throws {
        if isPending { throw CommandFailure("", "interrupted", status: .interrupted) }
    }

    /// Waits until a descriptor can be read.
    ///
    /// A signal that comes just before a read would not end that read; it ends this.
    /// - Throws: a `CommandFailure` with status 130 where the tool is to end.
    static func waitUntilReadable(_ descriptor: Int32) throws {
        var polled = [
            pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: wakeRead.load(ordering: .relaxed), events: Int16(POLLIN), revents: 0),
        ]
        repeat {
            try check()
        } while poll(&polled, nfds_t(polled.count), -1) < 0 && errno == EINTR
        try check()
    }
}
