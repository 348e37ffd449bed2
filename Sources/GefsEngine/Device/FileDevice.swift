import CPlatform
import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A regular file or a raw block device.
///
/// Open for writing it is locked exclusively, open for reading it shares its lock with other
/// readers (`flock`, so the lock goes with the process). All operations may be called from any
/// thread; `close()` must not overlap with others.
public final class FileDevice: BlockDevice {
    /// How a file is opened.
    public enum Access: Sendable {
        case readOnly
        case readWrite
    }

    public let name: String
    public let isReadOnly: Bool
    let descriptor: Atomic<Int32>
    let length: Atomic<UInt64>

    public var byteCount: UInt64 { length.load(ordering: .relaxed) }

    /// Opens an existing file or block device and locks it.
    ///
    /// Throws `.busy` at once if another process holds a lock that excludes this one.
    public convenience init(path: String, access: Access) throws(DeviceError) {
        let flags = access == .readOnly ? O_RDONLY : O_RDWR
        let file = open(path, flags | O_CLOEXEC)
        guard file >= 0 else { throw Self.openError(path: path, errno: errno) }
        do throws(DeviceError) {
            try Self.lock(file, path: path, access: access)
            let bytes = try Self.length(of: file, path: path)
            self.init(descriptor: file, path: path, access: access, byteCount: bytes)
        } catch {
            _ = Self.release(file)
            throw error
        }
    }

    private init(descriptor: Int32, path: String, access: Access, byteCount: UInt64) {
        name = path
        isReadOnly = access == .readOnly
        self.descriptor = Atomic(descriptor)
        length = Atomic(byteCount)
    }

    deinit {
        close()
    }

    /// Makes a new file of `byteCount` zero bytes, open for writing and locked.
    ///
    /// - Parameter preallocate: reserve the space on the host now, so that a full host disk is
    ///   found here and not in the middle of a commit.
    public static func create(
        path: String, byteCount: UInt64, preallocate: Bool = false
    ) throws(DeviceError) -> FileDevice {
        let file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
        guard file >= 0 else { throw openError(path: path, errno: errno) }
        do throws(DeviceError) {
            try lock(file, path: path, access: .readWrite)
            let device = FileDevice(
                descriptor: file, path: path, access: .readWrite, byteCount: 0)
            try device.extend(to: byteCount, preallocate: preallocate)
            syncFolder(of: path)
            return device
        } catch {
            unlink(path)
            throw error
        }
    }

    /// Makes a regular file longer; the new bytes read as zeros.
    public func extend(to byteCount: UInt64, preallocate: Bool = false) throws(DeviceError) {
        guard !isReadOnly else { throw .readOnly }
        guard let bytes = off_t(exactly: byteCount), byteCount >= self.byteCount else {
            throw .resizeFailed(byteCount: byteCount, errno: EINVAL)
        }
        let file = descriptor.load(ordering: .relaxed)
        guard ftruncate(file, bytes) == 0 else {
            throw .resizeFailed(byteCount: byteCount, errno: errno)
        }
        if preallocate {
            let failure = Self.preallocate(file, byteCount: bytes)
            guard failure == 0 else {
                throw .resizeFailed(byteCount: byteCount, errno: failure)
            }
        }
        length.store(byteCount, ordering: .relaxed)
    }

    public func flush() throws(DeviceError) {
        guard !isReadOnly else { throw .readOnly }
        let file = descriptor.load(ordering: .relaxed)
        while true {
            #if canImport(Darwin)
                // fsync leaves the data in the drive's own cache there.
                let result = fcntl(file, F_FULLFSYNC)
            #else
                let result = fdatasync(file)
            #endif
            if result == 0 { return }
            // An interrupted flush has reported no write error yet, all others have.
            guard errno == EINTR else { throw .flushFailed(errno: errno) }
        }
    }

    public func startWriteback(at offset: UInt64, byteCount: Int) {
        guard let start = Int64(exactly: offset) else { return }
        cplatform_start_writeback(
            descriptor.load(ordering: .relaxed), start, Int64(byteCount))
    }

    #if os(Linux)
        // lseek(2); the overlay does not show the macros.
        private static let seekData: Int32 = 3
        private static let seekHole: Int32 = 4
    #else
        private static let seekData = SEEK_DATA
        private static let seekHole = SEEK_HOLE
    #endif

    public func dataRange(from offset: UInt64) -> Range<UInt64>? {
        let end = byteCount
        guard offset < end, let position = off_t(exactly: offset) else { return nil }
        // Disks and some file systems know no holes; then all of it may be data.
        let file = descriptor.load(ordering: .relaxed)
        let start = lseek(file, position, Self.seekData)
        if start < 0 { return errno == ENXIO ? nil : offset..<end }
        guard UInt64(start) < end else { return nil }
        let hole = lseek(file, start, Self.seekHole)
        guard hole > start else { return UInt64(start)..<end }
        return UInt64(start)..<min(end, UInt64(hole))
    }

    public func close() {
        let file = descriptor.exchange(-1, ordering: .relaxed)
        if file >= 0 { _ = Self.release(file) }
    }
}

extension FileDevice {
    /// Unlocks and closes.
    ///
    /// The lock belongs to the open file, and that lives on in a child that this process is just
    /// about to start: closing alone would leave the device locked until the child runs its program.
    private static func release(_ file: Int32) -> Int32 {
        flock(file, LOCK_UN)
        #if canImport(Glibc)
            return Glibc.close(file)
        #else
            return Darwin.close(file)
        #endif
    }

    private static func lock(
        _ file: Int32, path: String, access: Access
    ) throws(DeviceError) {
        let operation = access == .readOnly ? LOCK_SH : LOCK_EX
        while flock(file, operation | LOCK_NB) != 0 {
            switch errno {
            case EINTR: continue
            case EWOULDBLOCK: throw .busy(path: path)
            default: throw .openFailed(path: path, errno: errno)
            }
        }
    }

    private static func length(of file: Int32, path: String) throws(DeviceError) -> UInt64 {
        var status = stat()
        guard fstat(file, &status) == 0 else {
            throw .openFailed(path: path, errno: errno)
        }
        switch status.st_mode & S_IFMT {
        case S_IFREG:
            return UInt64(status.st_size)
        case S_IFBLK:
            let bytes = cplatform_block_device_bytes(file)
            guard bytes >= 0 else { throw .openFailed(path: path, errno: errno) }
            return UInt64(bytes)
        default:
            throw .unsuitable(path: path)
        }
    }

    private static func openError(path: String, errno number: Int32) -> DeviceError {
        switch number {
        case ENOENT, ENOTDIR: .notFound(path: path)
        case EEXIST: .alreadyExists(path: path)
        case EACCES, EPERM, EROFS: .permissionDenied(path: path)
        case EISDIR: .unsuitable(path: path)
        default: .openFailed(path: path, errno: number)
        }
    }

    /// Returns 0 or an errno.
    private static func preallocate(_ file: Int32, byteCount: off_t) -> Int32 {
        #if canImport(Darwin)
            var request = fstore_t(
                fst_flags: UInt32(F_ALLOCATEALL), fst_posmode: F_PEOFPOSMODE, fst_offset: 0,
                fst_length: byteCount, fst_bytesalloc: 0)
            return fcntl(file, F_PREALLOCATE, &request) == 0 ? 0 : errno
        #else
            return posix_fallocate(file, 0, byteCount)
        #endif
    }

    /// Makes the name of a new file durable. Best effort: not every file system allows it.
    private static func syncFolder(of path: String) {
        let folder: String
        if let slash = path.lastIndex(of: "/") {
            folder = slash == path.startIndex ? "/" : String(path[..<slash])
        } else {
            folder = "."
        }
        let file = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard file >= 0 else { return }
        _ = fsync(file)
        _ = release(file)
    }
}
