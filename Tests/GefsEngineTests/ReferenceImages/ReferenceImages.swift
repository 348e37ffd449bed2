import GefsEngine

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The images written by the original implementation, and the oracle that judges them.
///
/// They lie in `shared`, beside the package or beside a folder above it, or in `$GEFS_SHARED`.
enum ReferenceImages {
    /// The folder `shared`, or `nil` where it is absent.
    static let folder: String? = {
        if let folder = environment("GEFS_SHARED") { return isReadable(folder) ? folder : nil }
        var path = #filePath
        while let slash = path.lastIndex(of: "/") {
            path = String(path[..<slash])
            if isReadable(path + "/shared/images") { return path + "/shared" }
        }
        return nil
    }()

    /// Whether tests take the time to ask the oracle about every small volume: `$GEFS_THOROUGH`.
    static let isThorough = environment("GEFS_THOROUGH") != nil

    /// What a test that is skipped says.
    static let absence = "no folder shared/images above \(#filePath), and none in $GEFS_SHARED"

    /// Names of all images, without extension, in order.
    static let names: [String] = {
        guard let folder, let directory = opendir(folder + "/images") else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { name in
                name.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.hasSuffix(".img.xz") { names.append(String(name.dropLast(7))) }
        }
        return names.sorted()
    }()

    /// Calls `body` with the path of an unpacked image, which is removed afterwards.
    static func withImage<R>(_ name: String, _ body: (String) throws -> R) throws -> R {
        guard let folder else { throw ToolFailure(command: ["xz"], status: -1) }
        let path = try temporaryPath()
        defer { unlink(path) }
        let command = ["xz", "-dc", folder + "/images/" + name + ".img.xz"]
        let status = run(command, output: path)
        guard status == 0 else { throw ToolFailure(command: command, status: status) }
        return try body(path)
    }

    /// What the oracle says about an image, line by line; `nil` where it cannot be run.
    static func oracleVerdict(on path: String) throws -> [String]? {
        guard let folder, run(["python3", "-c", ""], output: "/dev/null") == 0 else { return nil }
        let output = try temporaryPath()
        defer { unlink(output) }
        // It exits with 1 when the image is broken.
        let command = ["python3", folder + "/tools/gefs_oracle.py", "check", path]
        let status = run(command, output: output)
        guard status == 0 || status == 1 else {
            throw ToolFailure(command: command, status: status)
        }
        return try text(of: output).split(separator: "\n").map(String.init)
    }

    /// A program that did not do what it was run for.
    struct ToolFailure: Error {
        var command: [String]
        var status: Int32
    }

    private static func environment(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }
    }

    private static func isReadable(_ path: String) -> Bool { access(path, R_OK) == 0 }

    /// A new, empty file.
    static func temporaryPath() throws -> String {
        let folder = environment("TMPDIR") ?? "/tmp"
        var template = Array((folder + "/gefs-test-XXXXXX").utf8CString)
        let file = mkstemp(&template)
        guard file >= 0 else { throw ToolFailure(command: ["mkstemp"], status: errno) }
        close(file)
        return template.withUnsafeBufferPointer { text in
            text.baseAddress.map { String(cString: $0) } ?? ""
        }
    }

    /// A file with these contents.
    static func temporaryFile(holding image: MemoryImage) throws -> String {
        let path = try temporaryPath()
        let file = open(path, O_WRONLY)
        guard file >= 0 else { throw ToolFailure(command: ["open", path], status: errno) }
        defer { close(file) }
        let bytes = image.bytes(at: 0, count: Int(image.byteCount))
        guard write(file, bytes, bytes.count) == bytes.count else {
            throw ToolFailure(command: ["write", path], status: errno)
        }
        return path
    }

    static func remove(_ path: String) { unlink(path) }

    private static func text(of path: String) throws -> String {
        let file = open(path, O_RDONLY)
        guard file >= 0 else { throw ToolFailure(command: ["open", path], status: errno) }
        defer { close(file) }
        var bytes: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = read(file, &part, part.count)
            guard count > 0 else { break }
            bytes += part[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Runs a program to its end, with its output going to a file.
    ///
    /// - Returns: its exit status; -1 when it could not be started, or was killed.
    private static func run(_ command: [String], output: String) -> Int32 {
        #if canImport(Darwin)
            var actions: posix_spawn_file_actions_t?
        #else
            var actions = posix_spawn_file_actions_t()
        #endif
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(
            &actions, STDOUT_FILENO, output, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        var arguments: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) }
        defer { for argument in arguments { free(argument) } }
        arguments.append(nil)
        var process = pid_t()
        guard posix_spawnp(&process, command[0], &actions, nil, arguments, environ) == 0 else {
            return -1
        }
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0 {
            guard errno == EINTR else { return -1 }
        }
        return status & 0x7f == 0 ? status >> 8 & 0xff : -1
    }
}
