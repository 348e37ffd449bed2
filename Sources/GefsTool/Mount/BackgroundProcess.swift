import GefsControl

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The tool once more, behind the one that was typed, which waits until it is ready.
///
/// A process with threads cannot fork; so it is started anew with the same arguments, and says that
/// it is ready by a byte on a descriptor that the environment names.
enum BackgroundProcess {
    private static let variable = "GEFS_READY_DESCRIPTOR"

    /// Whether this process is the one behind.
    static var isBehind: Bool { getenv(variable) != nil }

    /// Starts the tool once more with this process's arguments, and returns when it is ready.
    ///
    /// - Throws: its exit status where it ends before; it has said why on standard error.
    static func start() throws {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else {
            throw CommandFailure("mount", String(cString: strerror(errno)))
        }
        defer { close(ends[0]) }
        _ = fcntl(ends[0], F_SETFD, FD_CLOEXEC)
        setenv(variable, "\(ends[1])", 1)
        defer { unsetenv(variable) }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // A group of its own, which no terminal's keys reach, but no session: the scheduler shares
        // processors out by session, and whoever mounts and then works on the mount is served faster
        // by a process of the same one.
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP))
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0)
        var process = pid_t()
        let fault = posix_spawn(
            &process, "/proc/self/exe", &actions, &attributes, CommandLine.unsafeArgv, environ)
        close(ends[1])
        guard fault == 0 else {
            throw CommandFailure("mount", String(cString: strerror(fault)))
        }
        var byte: UInt8 = 0
        while true {
            let count = read(ends[0], &byte, 1)
            if count == 1 { return }
            if count < 0, errno == EINTR { continue }
            break
        }
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        if status == 0 { return }
        throw CommandStatus(code: status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f))
    }

    /// Says that this process is ready, if anybody waits for it, and lets go of the terminal.
    static func tellReady() {
        guard let text = getenv(variable), let descriptor = Int32(String(cString: text)) else {
            return
        }
        unsetenv(variable)
        // The end of the terminal's session is not that of the mount.
        signal(SIGHUP, SIG_IGN)
        var byte: UInt8 = 1
        _ = write(descriptor, &byte, 1)
        close(descriptor)
        // Whoever started it may wait for the end of what it says.
        let nowhere = open("/dev/null", O_WRONLY)
        dup2(nowhere, STDERR_FILENO)
        close(nowhere)
        Console.speaksToSystemLog()
        _ = chdir("/")
    }
}
