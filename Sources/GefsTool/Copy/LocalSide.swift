import GefsControl
import GefsEngine

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// This machine's files. A place is a path; `-` is standard input or output.
final class LocalSide: CopySide {
    /// A path as bytes, without the NUL at its end.
    typealias Place = [UInt8]

    static let standardStream: Place = [UInt8(ascii: "-")]

    func child(_ name: [UInt8], of place: Place) -> Place {
        place.last == UInt8(ascii: "/") ? place + name : place + [UInt8(ascii: "/")] + name
    }

    func shown(_ place: Place) -> String {
        ByteText.shown(place)
    }

    func item(at place: Place, followsLinks: Bool) throws -> CopyItem? {
        if place == Self.standardStream {
            return CopyItem(
                kind: .file, mode: 0o644, size: 0, allocatedBytes: 0, modified: Int64(time(nil)))
        }
        return try LocalFile.status(ByteText.string(place), followsLinks: followsLinks).map(item)
    }

    private func item(_ status: stat) -> CopyItem {
        let kind: CopyItem.Kind =
            switch LocalFile.kind(status) {
            case .file: .file
            case .directory: .directory
            case .symbolicLink: .unsupported("a symbolic link")
            case .device, .socket, .other: .unsupported("neither a file nor a directory")
            }
        #if canImport(Glibc)
            let modified = status.st_mtim.tv_sec
        #else
            let modified = status.st_mtimespec.tv_sec
        #endif
        return CopyItem(
            kind: kind, mode: UInt32(status.st_mode) & ModeBits.permissions,
            size: UInt64(max(0, status.st_size)),
            allocatedBytes: UInt64(max(0, status.st_blocks)) * 512, modified: Int64(modified))
    }

    func children(
        of place: Place, followsLinks: Bool
    ) throws -> [(name: [UInt8], item: CopyItem)] {
        let path = ByteText.string(place)
        guard let directory = LocalFile.withBytes(of: path, { opendir($0) }) else {
            throw LocalDescriptor.failure(path)
        }
        defer { closedir(directory) }
        var names: [[UInt8]] = []
        while let record = readdir(directory) {
            let name = withUnsafePointer(to: &record.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: UInt8.self, capacity: 256) { bytes in
                    Array(UnsafeBufferPointer(start: bytes, count: 256).prefix { $0 != 0 })
                }
            }
            if name != Array(".".utf8), name != Array("..".utf8) { names.append(name) }
        }
        names.sort { $0.lexicographicallyPrecedes($1) }
        return try names.compactMap { name in
            // A name may go while the directory is read; that is no failure of the copy.
            try item(at: child(name, of: place), followsLinks: followsLinks).map { (name, $0) }
        }
    }

    func readContents(
        of place: Place, _ body: (UInt64, UnsafeRawBufferPointer) throws -> Void
    ) throws {
        let path = ByteText.string(place)
        let isStream = place == Self.standardStream
        let descriptor =
            isStream
            ? STDIN_FILENO : LocalFile.withBytes(of: path) { open($0, O_RDONLY | O_CLOEXEC) }
        guard descriptor >= 0 else { throw LocalDescriptor.failure(path) }
        defer { if !isStream { close(descriptor) } }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
        defer { buffer.deallocate() }
        var offset: UInt64 = 0
        while true {
            if !isStream {
                let data = lseek(descriptor, off_t(offset), LocalDescriptor.seekData)
                if data < 0, errno == ENXIO { return }
                if data > off_t(offset) { offset = UInt64(data) / 16384 * 16384 }
                lseek(descriptor, off_t(offset), SEEK_SET)
            }
            let count = try LocalDescriptor.readFully(
                descriptor, buffer, isStream: isStream, name: path)
            if count == 0 { return }
            try body(offset, UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            offset += UInt64(count)
        }
    }

    func makeDirectory(at place: Place, _ item: CopyItem) throws {
        let path = ByteText.string(place)
        let mode = mode_t(item.mode & ModeBits.permissions | 0o700)
        guard LocalFile.withBytes(of: path, { mkdir($0, mode) }) == 0 else {
            throw LocalDescriptor.failure(path)
        }
    }

    func makeFile(at place: Place, _ item: CopyItem) throws -> any CopySink {
        if place == Self.standardStream { return StreamSink() }
        return try LocalSink(place, item)
    }

    func finishDirectory(at place: Place, _ item: CopyItem) throws {
        let path = ByteText.string(place)
        let mode = mode_t(item.mode & ModeBits.permissions)
        guard LocalFile.withBytes(of: path, { chmod($0, mode) }) == 0 else {
            throw LocalDescriptor.failure(path)
        }
        var times = [timespec(tv_sec: 0, tv_nsec: LocalDescriptor.untouchedTime), timespec()]
        times[1].tv_sec = Int(item.modified)
        guard LocalFile.withBytes(of: path, { utimensat(AT_FDCWD, $0, times, 0) }) == 0 else {
            throw LocalDescriptor.failure(path)
        }
    }

    func freeBytes(near place: Place) throws -> UInt64? {
        guard place != Self.standardStream else { return nil }
        var path = place
        while true {
            var status = statvfs()
            let text = path.isEmpty ? "." : ByteText.string(path)
            if LocalFile.withBytes(of: text, { statvfs($0, &status) }) == 0 {
                return UInt64(status.f_bavail) * UInt64(status.f_frsize)
            }
            guard errno == ENOENT, !path.isEmpty else { return nil }
            while path.last == UInt8(ascii: "/") { path.removeLast() }
            while let last = path.last, last != UInt8(ascii: "/") { path.removeLast() }
        }
    }
}

/// A file of this machine that is being written.
private final class LocalSink: CopySink {
    private let path: String
    private var descriptor: Int32

    init(_ place: [UInt8], _ item: CopyItem) throws {
        let path = ByteText.string(place)
        self.path = path
        let mode = mode_t(item.mode & ModeBits.permissions | 0o600)
        descriptor = LocalFile.withBytes(of: path) {
            open($0, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
        }
        guard descriptor >= 0 else { throw LocalDescriptor.failure(path) }
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws {
        try LocalDescriptor.writeAll(descriptor, bytes, at: offset, name: path)
    }

    func finish(_ item: CopyItem) throws {
        guard let size = off_t(exactly: item.size), ftruncate(descriptor, size) == 0 else {
            throw LocalDescriptor.failure(path)
        }
        guard fchmod(descriptor, mode_t(item.mode & ModeBits.permissions)) == 0 else {
            throw LocalDescriptor.failure(path)
        }
        var times = [timespec(tv_sec: 0, tv_nsec: LocalDescriptor.untouchedTime), timespec()]
        times[1].tv_sec = Int(item.modified)
        guard futimens(descriptor, times) == 0 else { throw LocalDescriptor.failure(path) }
        let result = close(descriptor)
        descriptor = -1
        guard result == 0 else { throw LocalDescriptor.failure(path) }
    }

    func abandon() {
        if descriptor >= 0 { close(descriptor) }
        descriptor = -1
    }
}

/// Standard output: takes bytes in order, and fills holes with zeros.
private final class StreamSink: CopySink {
    private var position: UInt64 = 0

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws {
        try fill(to: offset)
        try LocalDescriptor.writeAll(STDOUT_FILENO, bytes, name: "standard output")
        position += UInt64(bytes.count)
    }

    func finish(_ item: CopyItem) throws {
        try fill(to: item.size)
    }

    func abandon() {}

    private func fill(to offset: UInt64) throws {
        let zeros = [UInt8](repeating: 0, count: 1 << 16)
        while position < offset {
            let count = Int(min(UInt64(zeros.count), offset - position))
            try zeros.withUnsafeBytes {
                try LocalDescriptor.writeAll(
                    STDOUT_FILENO, UnsafeRawBufferPointer(rebasing: $0[..<count]),
                    name: "standard output")
            }
            position += UInt64(count)
        }
    }
}
