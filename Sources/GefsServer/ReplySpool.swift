#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The reply to a command, until it has been read: in memory as long as it is small, else in a
/// temporary file without a name, so that a long reply does not take the server's memory.
///
/// Used by one thread at a time.
final class ReplySpool {
    /// Bytes kept in memory.
    static let memoryBytesMax = 1 << 20

    private var memory: [UInt8] = []
    private var descriptor: Int32 = -1
    /// Bytes in the file, in front of those in memory.
    private var fileBytes = 0
    /// The file cannot be written: what comes is dropped, and the reply has no end.
    private var hasFailed = false

    var byteCount: Int { fileBytes + memory.count }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }

    func append(_ text: String) {
        guard !hasFailed else { return }
        memory.append(contentsOf: text.utf8)
        if memory.count > Self.memoryBytesMax { spill() }
    }

    /// Reads `count` bytes from `offset` on, fewer only at the end.
    func read(at offset: Int, count: Int) -> [UInt8] {
        guard offset >= 0, count > 0, offset < byteCount else { return [] }
        let wanted = min(count, byteCount - offset)
        var bytes = offset < fileBytes ? readFile(at: offset, count: wanted) : []
        guard bytes.count < wanted, offset + bytes.count >= fileBytes else { return bytes }
        let start = offset + bytes.count - fileBytes
        bytes += memory[start..<start + wanted - bytes.count]
        return bytes
    }

    private func readFile(at offset: Int, count: Int) -> [UInt8] {
        let wanted = min(count, fileBytes - offset)
        return [UInt8](unsafeUninitializedCapacity: wanted) { buffer, initialized in
            while initialized < wanted {
                let got = pread(
                    descriptor, buffer.baseAddress.map { $0 + initialized }, wanted - initialized,
                    off_t(offset + initialized))
                if got < 0, errno == EINTR { continue }
                if got <= 0 { return }
                initialized += got
            }
        }
    }

    private func spill() {
        if descriptor < 0 { descriptor = Self.makeFile() }
        var written = 0
        while written < memory.count, descriptor >= 0 {
            let count = memory.withUnsafeBytes {
                pwrite(
                    descriptor, $0.baseAddress.map { $0 + written }, $0.count - written,
                    off_t(fileBytes + written))
            }
            if count < 0, errno == EINTR { continue }
            if count <= 0 { break }
            written += count
        }
        hasFailed = written < memory.count
        fileBytes += written
        memory.removeAll(keepingCapacity: !hasFailed)
    }

    /// - Returns: a descriptor, negative where there is no place for a file.
    private static func makeFile() -> Int32 {
        let folder = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var path = Array("\(folder)/gefs-reply.XXXXXX".utf8CString)
        let descriptor = path.withUnsafeMutableBufferPointer { path -> Int32 in
            guard let template = path.baseAddress else { return -1 }
            let descriptor = mkstemp(template)
            if descriptor >= 0 { unlink(template) }
            return descriptor
        }
        if descriptor >= 0 { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        return descriptor
    }
}
