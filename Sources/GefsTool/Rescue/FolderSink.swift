import CPlatform
import GefsControl
import GefsEngine

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A folder of this machine that rescued files go to.
///
/// Every step goes through the descriptor of the folder above and follows no link, so nothing is
/// written outside of the folder, however long or strange the paths are.
final class FolderSink: RescueSink {
    /// How many names are tried where one is taken.
    private static let namesMax = 10_000

    private let root: Int32
    private let shown: String
    private let closes: Bool
    /// The directory used last.
    private var open: (path: [[UInt8]], descriptor: Int32)?

    /// - Parameters:
    ///   - root: the folder.
    ///   - shown: what to call it in messages.
    ///   - closes: whether the descriptor goes with this.
    init(_ root: Int32, shown: String, closes: Bool = false) {
        self.root = root
        self.shown = shown
        self.closes = closes
    }

    deinit {
        if let open { close(open.descriptor) }
        if closes { close(root) }
    }

    // MARK: RescueSink

    func makeDirectory(
        _ name: [UInt8], in parent: [[UInt8]]
    ) throws(RescueError) -> [UInt8] {
        let folder = try descriptor(of: parent)
        for attempt in 0..<Self.namesMax {
            let name = Self.alternative(name, attempt)
            if withName(name, { mkdirat(folder, $0, 0o700) }) == 0 { return name }
            guard errno == EEXIST else { throw failure(parent + [name]) }
        }
        throw .refused(why: "all names are taken")
    }

    func makeFile(
        _ name: [UInt8], in parent: [[UInt8]]
    ) throws(RescueError) -> (file: any RescuedFileSink, name: [UInt8]) {
        let folder = try descriptor(of: parent)
        for attempt in 0..<Self.namesMax {
            let name = Self.alternative(name, attempt)
            let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
            let descriptor = withName(name) { openat(folder, $0, flags, 0o600) }
            if descriptor >= 0 {
                let copy = fcntl(folder, F_DUPFD_CLOEXEC, 0)
                return (
                    FolderFile(descriptor, folder: copy, name, self.text(parent + [name])), name
                )
            }
            guard errno == EEXIST else { throw failure(parent + [name]) }
        }
        throw .refused(why: "all names are taken")
    }

    func finishDirectory(_ path: [[UInt8]], mode: UInt32, time: Int64) throws(RescueError) {
        let folder = try descriptor(of: path)
        // The top is the user's own folder: its mode says who may see what was on the disk.
        guard !path.isEmpty else { return }
        FolderFile.setTime(folder, time)
        guard fchmod(folder, mode_t(mode)) == 0 else { throw failure(path) }
    }

    func setAttribute(
        _ name: [UInt8], to value: [UInt8], of path: [[UInt8]]
    ) throws(RescueError) {
        guard !path.isEmpty else { return }
        FolderFile.setAttribute(try descriptor(of: path), name, value)
    }

    // MARK: Names

    /// The name, or one like it where it is taken.
    private static func alternative(_ name: [UInt8], _ attempt: Int) -> [UInt8] {
        guard attempt > 0 else { return name }
        let tail = Array("~\(attempt + 1)".utf8)
        return name.prefix(255 - tail.count) + tail
    }

    private func withName<R>(_ name: [UInt8], _ body: (UnsafePointer<CChar>) -> R) -> R {
        LocalFile.withBytes(of: ByteText.string(name), body)
    }

    /// The descriptor of a directory that was made; good until the next call.
    private func descriptor(of path: [[UInt8]]) throws(RescueError) -> Int32 {
        if path.isEmpty { return root }
        if let open {
            if open.path == path { return open.descriptor }
            close(open.descriptor)
            self.open = nil
        }
        var folder = root
        for name in path {
            let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
            let next = withName(name) { openat(folder, $0, flags) }
            let code = errno
            if folder != root { close(folder) }
            guard next >= 0 else { throw failure(path, code) }
            folder = next
        }
        open = (path, folder)
        return folder
    }

    private func text(_ path: [[UInt8]]) -> String {
        shown + path.map { "/" + ByteText.shown($0) }.joined()
    }

    private func failure(_ path: [[UInt8]], _ code: Int32 = errno) -> RescueError {
        FolderFile.failure(text(path), code)
    }
}

/// A rescued file that is being written.
private final class FolderFile: RescuedFileSink {
    private var descriptor: Int32
    private let folder: Int32
    private let name: [UInt8]
    private let shown: String

    init(_ descriptor: Int32, folder: Int32, _ name: [UInt8], _ shown: String) {
        self.descriptor = descriptor
        self.folder = folder
        self.name = name
        self.shown = shown
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
        if folder >= 0 { close(folder) }
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(RescueError) {
        var (rest, position) = (bytes, offset)
        while !rest.isEmpty {
            guard let place = off_t(exactly: position) else {
                throw .refused(why: LocalDescriptor.message(of: EFBIG))
            }
            let count = pwrite(descriptor, rest.baseAddress, rest.count, place)
            if count < 0 {
                if errno == EINTR { continue }
                throw Self.failure(shown)
            }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            position += UInt64(count)
        }
    }

    func setAttribute(_ name: [UInt8], to value: [UInt8]) throws(RescueError) {
        Self.setAttribute(descriptor, name, value)
    }

    func finish(length: UInt64, mode: UInt32, time: Int64) throws(RescueError) {
        guard let size = off_t(exactly: length) else {
            throw .refused(why: LocalDescriptor.message(of: EFBIG))
        }
        guard ftruncate(descriptor, size) == 0 else { throw Self.failure(shown) }
        Self.setTime(descriptor, time)
        guard fchmod(descriptor, mode_t(mode)) == 0 else { throw Self.failure(shown) }
        let result = close(descriptor)
        descriptor = -1
        guard result == 0 else { throw Self.failure(shown) }
    }

    func abandon() {
        if descriptor >= 0 { close(descriptor) }
        descriptor = -1
        _ = LocalFile.withBytes(of: ByteText.string(name)) { unlinkat(folder, $0, 0) }
    }

    /// Sets an extended attribute. A host that has no place for it, or lets only its administrator
    /// set it, does without: no reason to do without the file. An access control list says who may
    /// see it, as the mode does.
    static func setAttribute(_ descriptor: Int32, _ name: [UInt8], _ value: [UInt8]) {
        _ = LocalFile.withBytes(of: ByteText.string(name)) { name in
            value.withUnsafeBytes {
                cplatform_set_attribute(descriptor, name, $0.baseAddress, UInt64($0.count))
            }
        }
    }

    /// Sets the time of modification. A host that cannot hold it keeps another one: no reason to do
    /// without the file.
    static func setTime(_ descriptor: Int32, _ time: Int64) {
        let (seconds, rest) = time.quotientAndRemainder(dividingBy: 1_000_000_000)
        var times = [timespec(tv_sec: 0, tv_nsec: LocalDescriptor.untouchedTime), timespec()]
        times[1].tv_sec = Int(rest < 0 ? seconds - 1 : seconds)
        times[1].tv_nsec = Int(rest < 0 ? rest + 1_000_000_000 : rest)
        _ = futimens(descriptor, times)
    }

    /// Whether an error concerns this file, or everything that is to come.
    static func failure(_ shown: String, _ code: Int32 = errno) -> RescueError {
        let why = LocalDescriptor.message(of: code)
        switch code {
        case EFBIG, ENAMETOOLONG, EINVAL, EILSEQ, EEXIST, ELOOP: return .refused(why: why)
        default: return .failed(what: shown, why: why, isFull: code == ENOSPC || code == EDQUOT)
        }
    }
}
