#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Whole transfers over a descriptor: a socket, or anything that reads and writes.
struct Transport: Sendable {
    let descriptor: Int32

    /// Writes all bytes.
    func write(_ bytes: UnsafeRawBufferPointer) throws(ClientError) {
        var rest = bytes
        while rest.count > 0 {
            let count = send(rest)
            if count > 0 {
                rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
            } else if count < 0, errno == EPIPE || errno == ECONNRESET || errno == EBADF {
                throw .connectionClosed
            } else if count < 0, errno != EINTR {
                throw .system(call: "write", errno: errno)
            }
        }
    }

    /// Fills the buffer.
    func read(into buffer: UnsafeMutableRawBufferPointer) throws(ClientError) {
        var rest = buffer
        while rest.count > 0 {
            let count = systemRead(descriptor, rest.baseAddress, rest.count)
            if count > 0 {
                rest = UnsafeMutableRawBufferPointer(rebasing: rest.dropFirst(count))
            } else if count == 0 || errno == ECONNRESET || errno == EBADF {
                throw .connectionClosed
            } else if errno != EINTR {
                throw .system(call: "read", errno: errno)
            }
        }
    }

    /// Ends both directions; readers and writers find out.
    func shutDown() {
        _ = shutdown(descriptor, Int32(SHUT_RDWR))
    }

    func closeDescriptor() {
        _ = close(descriptor)
    }

    /// A server that is gone is an error, not a signal.
    private func send(_ bytes: UnsafeRawBufferPointer) -> Int {
        #if os(Linux)
            let count = Glibc.send(
                descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
            if count >= 0 || errno != ENOTSOCK { return count }
            return Glibc.write(descriptor, bytes.baseAddress, bytes.count)
        #else
            return Darwin.write(descriptor, bytes.baseAddress, bytes.count)
        #endif
    }

    private func systemRead(
        _ descriptor: Int32, _ base: UnsafeMutableRawPointer?, _ byteCount: Int
    ) -> Int {
        #if canImport(Glibc)
            Glibc.read(descriptor, base, byteCount)
        #else
            Darwin.read(descriptor, base, byteCount)
        #endif
    }
}
