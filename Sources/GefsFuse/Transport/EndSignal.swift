import Glibc

/// Says once, to whoever waits for a descriptor, that it is to end.
final class EndSignal: Sendable {
    /// Can be read from as soon as the signal is given.
    let descriptor: Int32
    private let far: Int32

    /// - Returns: nil, and errno says why, where the system has no descriptor left.
    init?() {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return nil }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        descriptor = ends[0]
        far = ends[1]
    }

    deinit {
        close(far)
        close(descriptor)
    }

    /// For any thread, and more than once.
    func give() {
        var byte: UInt8 = 1
        _ = write(far, &byte, 1)
    }
}
