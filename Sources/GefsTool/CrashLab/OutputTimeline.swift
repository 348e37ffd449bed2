import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// What a command printed, and how far the disk was when each line came.
///
/// A line is noted when it is read, a little after it was printed. So it is never taken for older
/// than it is, and a crash is never blamed for what was printed behind it.
final class OutputTimeline: Sendable {
    private struct State {
        var bytes: [UInt8] = []
        /// For each whole line its end in `bytes`, and the count of events when it was read.
        var lines: [(end: Int, events: Int)] = []
        var isEnded = false
    }

    private let state = Mutex(State())
    private let eventCount: @Sendable () -> Int

    /// - Parameter eventCount: how many writes and flushes the disk has done by now.
    init(eventCount: @escaping @Sendable () -> Int) {
        self.eventCount = eventCount
    }

    /// Reads a pipe to its end, and hands on what comes.
    func follow(_ descriptor: Int32) {
        var part = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = read(descriptor, &part, part.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            let events = eventCount()
            state.withLock { state in
                for byte in part[..<count] {
                    state.bytes.append(byte)
                    if byte == UInt8(ascii: "\n") {
                        state.lines.append((state.bytes.count, events))
                    }
                }
            }
            // It goes to the user, too.
            _ = write(STDERR_FILENO, part, count)
        }
        state.withLock { $0.isEnded = true }
    }

    /// Waits until the pipe has ended, which it does soon after the command.
    func waitForEnd() {
        for _ in 0..<100 where !state.withLock({ $0.isEnded }) { usleep(20_000) }
    }

    /// The lines that were printed before the disk had done so many writes and flushes.
    func lines(before events: Int) -> (bytes: [UInt8], count: Int) {
        state.withLock { state in
            let count = state.lines.prefix { $0.events <= events }.count
            return (count == 0 ? [] : Array(state.bytes[..<state.lines[count - 1].end]), count)
        }
    }
}
