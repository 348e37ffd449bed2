import CPlatform
import GefsControl
import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// How a command ended, as a shell says it; ends the tool in the same way.
struct CommandStatus: Error {
    /// Its exit status, or 128 and the number of the signal that ended it.
    var code: Int32
}

/// A command that runs in front of the tool, which waits for it.
///
/// As with a shell, a person's interrupt is for the command; the tool goes on when it has ended.
/// A request to end the tool is handed on to the command.
enum ChildProcess {
    private static let running = Atomic<Int32>(0)

    private static let handOn: @convention(c) (Int32) -> Void = { number in
        let process = running.load(ordering: .relaxed)
        if process > 0 { kill(process, number) }
    }

    /// Runs a command with more environment, and returns when it has ended.
    ///
    /// - Parameters:
    ///   - directory: where it runs; nil: where the tool does.
    ///   - output: the descriptor that becomes its standard output; nil for the tool's own.
    /// - Throws: `CommandFailure` where it cannot be started.
    static func run(
        _ command: [String], environment: [String: String], in directory: String? = nil,
        output: Int32? = nil
    ) throws -> CommandStatus {
        // The count is there before a handler can run, since making it takes a lock.
        _ = running.load(ordering: .relaxed)
        let handlers = [
            take(SIGINT, SIG_IGN), take(SIGQUIT, SIG_IGN), take(SIGTERM, handOn),
            take(SIGHUP, handOn),
        ]
        defer {
            for (number, former) in handlers {
                var former = former
                sigaction(number, &former, nil)
            }
        }
        let process = try start(command, environment, directory, output)
        running.store(process, ordering: .relaxed)
        defer { running.store(0, ordering: .relaxed) }
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0 {
            guard errno == EINTR else {
                throw CommandFailure(
                    ByteText.shown(command[0]), String(cString: strerror(errno)))
            }
        }
        let signal = status & 0x7f
        return CommandStatus(code: signal == 0 ? (status >> 8) & 0xff : 128 + signal)
    }

    private static func take(
        _ number: Int32, _ handler: (@convention(c) (Int32) -> Void)?
    ) -> (number: Int32, former: sigaction) {
        var action = sigaction()
        #if canImport(Glibc)
            action.__sigaction_handler.sa_handler = handler
        #else
            action.__sigaction_u.__sa_handler = handler
        #endif
        sigemptyset(&action.sa_mask)
        var former = sigaction()
        sigaction(number, &action, &former)
        return (number, former)
    }

    private static func start(
        _ command: [String], _ environment: [String: String], _ directory: String?,
        _ output: Int32?
    ) throws -> pid_t {
        #if canImport(Glibc)
            var attributes = posix_spawnattr_t()
            var actions = posix_spawn_file_actions_t()
        #else
            var attributes: posix_spawnattr_t?
            var actions: posix_spawn_file_actions_t?
        #endif
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        if let directory { cplatform_spawn_in_directory(&actions, directory) }
        if let output { posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO) }
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        for number in [SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGPIPE] { sigaddset(&signals, number) }
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETSIGDEF) | Int16(POSIX_SPAWN_SETSIGMASK))
        var process = pid_t()
        let fault = withStrings(command.map { ByteText.bytes(of: $0) }) { words -> Int32 in
            withStrings(variables(environment)) { variables -> Int32 in
                guard let name = words[0] else { return ENOENT }
                return posix_spawnp(&process, name, &actions, &attributes, words, variables)
            }
        }
        guard fault == 0 else {
            throw CommandFailure(
                ByteText.shown(command[0]), String(cString: strerror(fault)), status: .failed)
        }
        return process
    }

    /// The tool's own environment with some variables set.
    private static func variables(_ changes: [String: String]) -> [[UInt8]] {
        var all: [[UInt8]] = []
        var next = environ
        while let text = next.pointee {
            let bytes = Array(UnsafeRawBufferPointer(start: text, count: strlen(text)))
            let name = String(decoding: bytes.prefix { $0 != UInt8(ascii: "=") }, as: UTF8.self)
            if changes[name] == nil { all.append(bytes) }
            next += 1
        }
        return all
            + changes.sorted { $0.key < $1.key }.map { ByteText.bytes(of: "\($0.key)=\($0.value)") }
    }

    private static func withStrings<R>(
        _ strings: [[UInt8]], _ body: ([UnsafeMutablePointer<CChar>?]) -> R
    ) -> R {
        let copies = strings.map { bytes -> UnsafeMutablePointer<CChar>? in
            (bytes + [0]).withUnsafeBytes { raw in
                raw.baseAddress.flatMap { strdup($0.assumingMemoryBound(to: CChar.self)) }
            }
        }
        defer { for copy in copies { free(copy) } }
        return body(copies + [nil])
    }
}
