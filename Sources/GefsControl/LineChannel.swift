#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Lines of JSON over a connected socket; blocking, for one thread. Owns the descriptor.
final class LineChannel {
    private let descriptor: Int32
    private var received: [UInt8] = []

    /// A line that is longer is not one of ours.
    static let lineBytesMax = 1 << 20

    init(_ descriptor: Int32) {
        self.descriptor = descriptor
    }

    deinit {
        close(descriptor)
    }

    /// The next line without its end; nil where the other side has closed.
    func readLine() throws(SocketError) -> [UInt8]? {
        var searched = 0
        while true {
            if let end = received[searched...].firstIndex(of: UInt8(ascii: "\n")) {
                let line = Array(received[..<end])
                received.removeSubrange(...end)
                return line
            }
            searched = received.count
            guard searched <= Self.lineBytesMax else { throw SocketError(code: EMSGSIZE) }
            var chunk = [UInt8](repeating: 0, count: 1 << 14)
            let count = chunk.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                throw SocketError(code: errno)
            }
            if count == 0 { return nil }
            received += chunk[..<count]
        }
    }

    /// Sends a report as one line.
    func write(_ report: some Report) throws {
        try write(line: try ReportLine.encode(report))
    }

    private func write(line: [UInt8]) throws(SocketError) {
        let bytes = line + [UInt8(ascii: "\n")]
        var position = 0
        while position < bytes.count {
            let count = bytes.withUnsafeBytes {
                send(descriptor, $0.baseAddress?.advanced(by: position), $0.count - position, noSignal)
            }
            if count < 0 {
                if errno == EINTR { continue }
                throw SocketError(code: errno)
            }
            position += count
        }
    }
}

/// Makes a send to a peer that went away an error and no signal.
private var noSignal: Int32 {
    #if canImport(Glibc)
        Int32(MSG_NOSIGNAL.rawValue)
    #else
        0
    #endif
}
