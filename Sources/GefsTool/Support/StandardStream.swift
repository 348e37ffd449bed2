#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The reader of our output went away; the tool ends without a word.
struct OutputClosed: Error {}

/// Buffered bytes to a descriptor that somebody else opened. Used by one thread.
final class StandardStream {
    private let descriptor: Int32
    private var buffer: [UInt8] = []
    private static let bufferBytesMax = 1 << 16

    /// Whether a person reads along.
    let isTerminal: Bool

    init(_ descriptor: Int32) {
        self.descriptor = descriptor
        isTerminal = isatty(descriptor) == 1
    }

    /// Writes soon; `flush` writes now.
    ///
    /// - Throws: `OutputClosed`, or a `CommandFailure` where the output cannot be written.
    func write(_ bytes: some Collection<UInt8>) throws {
        buffer.append(contentsOf: bytes)
        if buffer.count >= Self.bufferBytesMax { try flush() }
    }

    func write(_ text: String) throws {
        try write(text.utf8)
    }

    /// Everything written so far goes out.
    func flush() throws {
        guard !buffer.isEmpty else { return }
        defer { buffer.removeAll(keepingCapacity: true) }
        try buffer.withUnsafeBytes {
            try LocalDescriptor.writeAll(descriptor, $0, name: "standard output")
        }
    }
}
