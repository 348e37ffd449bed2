import GefsControl

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The lines of standard input, asked for with a prompt where a person types them.
struct InputLines {
    private let prompt: [UInt8]
    private let isTerminal: Bool
    private var buffer: [UInt8] = []
    private var isAtEnd = false

    init(prompt: String) {
        self.prompt = Array(prompt.utf8)
        isTerminal = isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1
    }

    /// The next line without its end; nil at the end of the input.
    ///
    /// - Throws: a `CommandFailure` where a signal ends the waiting, or reading fails.
    mutating func next() throws -> String? {
        if isTerminal { show(prompt) }
        while true {
            if let end = buffer.firstIndex(of: UInt8(ascii: "\n")) {
                defer { buffer.removeFirst(end + 1) }
                return ByteText.string(buffer[..<end])
            }
            if isAtEnd {
                if isTerminal { show([UInt8(ascii: "\n")]) }
                guard !buffer.isEmpty else { return nil }
                defer { buffer = [] }
                return ByteText.string(buffer)
            }
            try readMore()
        }
    }

    private mutating func readMore() throws {
        try Interruption.waitUntilReadable(STDIN_FILENO)
        var piece = [UInt8](repeating: 0, count: 4096)
        let count = piece.withUnsafeMutableBytes { read(STDIN_FILENO, $0.baseAddress, $0.count) }
        if count < 0, errno == EINTR { return try Interruption.check() }
        guard count >= 0 else {
            throw CommandFailure("standard input", String(cString: strerror(errno)))
        }
        isAtEnd = count == 0
        buffer += piece[..<count]
    }

    private func show(_ bytes: [UInt8]) {
        _ = bytes.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}
