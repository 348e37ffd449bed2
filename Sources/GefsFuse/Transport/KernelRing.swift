import Glibc

/// What this host's kernel has of FUSE over io_uring.
enum KernelRing {
    private static let parameter = "/sys/module/fuse/parameters/enable_uring"

    /// Processors that the kernel may have at most: it keeps a queue for each.
    static var processors: Int {
        // "0-7", or with gaps "0-3,8-11".
        let text = contents("/sys/devices/system/cpu/possible") ?? ""
        let last = text.split(whereSeparator: { !$0.isNumber }).last.flatMap { Int($0) }
        return (last ?? max(1, sysconf(Int32(_SC_NPROCESSORS_CONF))) - 1) + 1
    }

    /// Runs `body` while the kernel offers io_uring to what is mounted, where it can and this
    /// process may change that: a connection that has it keeps it when it is off again.
    ///
    /// - Parameter body: gets whether the kernel offers it.
    static func withOffer<Result, Failure: Error>(
        _ body: (_ isOffered: Bool) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        // The device makes the kernel load what has the parameter.
        close(open("/dev/fuse", O_RDWR | O_CLOEXEC))
        let descriptor = open(parameter, O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { return try body(contents(parameter)?.first == "Y") }
        defer { close(descriptor) }
        // Of two that mount, the second is not to take what the first has set for what was there.
        while flock(descriptor, LOCK_EX) != 0, errno == EINTR {}
        if contents(parameter)?.first == "Y" { return try body(true) }
        guard pwrite(descriptor, "Y", 1, 0) == 1 else { return try body(false) }
        defer { _ = pwrite(descriptor, "N", 1, 0) }
        return try body(true)
    }

    private static func contents(_ path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 256)
        let count = read(descriptor, &bytes, bytes.count)
        return count > 0 ? String(decoding: bytes[..<count], as: UTF8.self) : nil
    }
}
