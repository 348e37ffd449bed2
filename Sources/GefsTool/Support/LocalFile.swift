import GefsControl
import GefsFormat

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Files of this machine: what they are, without opening them for writing.
enum LocalFile {
    enum Kind {
        case file
        case directory
        case device
        case socket
        case symbolicLink
        case other
    }

    /// What stat(2) tells; nil where there is no such file.
    static func status(_ path: String, followsLinks: Bool = true) throws -> stat? {
        var status = stat()
        let result =
            withBytes(of: path) { followsLinks ? stat($0, &status) : lstat($0, &status) }
        if result == 0 { return status }
        if errno == ENOENT || errno == ENOTDIR { return nil }
        throw LocalDescriptor.failure(path)
    }

    /// A path from `/` on, without links. What is mounted there need not answer any more.
    ///
    /// - Throws: `CommandFailure` where nothing is there.
    static func resolved(_ path: String) throws -> String {
        if let place = withBytes(of: path, { realpath($0, nil) }) {
            defer { free(place) }
            return ByteText.string(UnsafeRawBufferPointer(start: place, count: strlen(place)))
        }
        guard errno == ENOTCONN, let slash = path.lastIndex(of: "/") else {
            if errno == ENOTCONN { return try resolved("./" + path) }
            throw CommandFailure(
                ByteText.shown(path), String(cString: strerror(errno)), status: .failed)
        }
        let parent = try resolved(slash == path.startIndex ? "/" : String(path[..<slash]))
        return (parent == "/" ? "" : parent) + path[slash...]
    }

    /// Makes a directory that nobody else uses or sees, in `$TMPDIR` or `/tmp`.
    static func temporaryDirectory() throws -> String {
        let parent = Environment["TMPDIR"].flatMap { $0.isEmpty ? nil : $0 } ?? "/tmp"
        var template = Array("\(try resolved(parent))/gefs-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw LocalDescriptor.failure(parent) }
        return ByteText.string(template.dropLast().map { UInt8(bitPattern: $0) })
    }

    static func kind(_ status: stat) -> Kind {
        switch status.st_mode & S_IFMT {
        case S_IFREG: .file
        case S_IFDIR: .directory
        case S_IFBLK: .device
        case S_IFSOCK: .socket
        case S_IFLNK: .symbolicLink
        default: .other
        }
    }

    /// Kind of the file, links followed; nil where there is none or it cannot be seen.
    static func kind(of path: String) -> Kind? {
        (try? status(path)).flatMap { $0 }.map(kind)
    }

    /// Whether an operand must be meant as an image: a gefs in a file, a disk, a socket.
    static func looksLikeImage(_ path: String) -> Bool {
        switch kind(of: path) {
        case .device, .socket: true
        case .file: hasMagic(path)
        default: false
        }
    }

    /// Whether a file begins like a gefs.
    static func hasMagic(_ path: String) -> Bool {
        let descriptor = withBytes(of: path) { open($0, O_RDONLY | O_CLOEXEC) }
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var start = [UInt8](repeating: 0, count: Superblock.beginningBytes)
        let count = start.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, 0) }
        return count == start.count && Superblock.looksLikeOne(start)
    }

    /// Calls `body` with the path as the system wants it.
    static func withBytes<R>(of path: String, _ body: (UnsafePointer<CChar>) -> R) -> R {
        var bytes = ByteText.bytes(of: path)
        bytes.append(0)
        return bytes.withUnsafeBufferPointer { buffer in
            buffer.withMemoryRebound(to: CChar.self) { characters in
                guard let base = characters.baseAddress else { return body("") }
                return body(base)
            }
        }
    }
}
