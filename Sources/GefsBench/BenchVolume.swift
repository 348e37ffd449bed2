import GefsEngine
import GefsFormat

/// A volume that benchmarks work on, and files in it that are known by numbers.
///
/// File `n` is called `f` and nine digits. The tree is either one directory, or directories of a
/// thousand files two levels below the root, so that paths are as long however many files there
/// are.
public final class BenchVolume {
    /// Where the files are.
    public enum Layout: String, Sendable, CaseIterable {
        /// All in one directory, `one`.
        case flat
        /// In directories of a thousand, in directories of a hundred, in `nested`.
        case nested
    }

    public static let caller = Caller(user: UserID(rawValue: 1), isPermissive: true)
    /// Files of a directory of the layout `nested`.
    static let directoryFiles = 1000
    private static let upperDirectories = 100

    public let device: CountingDevice
    public private(set) var fileSystem: FileSystem

    /// How benchmarks open volumes: with commits that are asked for only, so that figures repeat.
    public static func options(cacheBytes: UInt64) -> VolumeOptions {
        var options = VolumeOptions()
        options.commitIntervalNanoseconds = nil
        options.cacheBytes = cacheBytes
        return options
    }

    /// Makes a volume on a new file, or on memory where there is no path.
    public convenience init(
        making path: String?, byteCount: UInt64, cacheBytes: UInt64 = 1 << 30,
        skipsZeros: Bool = false
    ) throws {
        let inner: any BlockDevice =
            if let path {
                try FileDevice.create(path: path, byteCount: byteCount)
            } else {
                MemoryDevice(byteCount: byteCount)
            }
        try Ream.run(device: inner, user: "glenda")
        try self.init(
            CountingDevice(inner, skipsZeros: skipsZeros), Self.options(cacheBytes: cacheBytes))
    }

    /// Opens what lies on a file.
    public convenience init(
        opening path: String, cacheBytes: UInt64 = 1 << 30, skipsZeros: Bool = false
    ) throws {
        try self.init(
            CountingDevice(
                try FileDevice(path: path, access: .readWrite), skipsZeros: skipsZeros),
            Self.options(cacheBytes: cacheBytes))
    }

    /// Opens a device.
    public init(_ device: CountingDevice, _ options: VolumeOptions) throws {
        self.device = device
        fileSystem = try FileSystem.open(device, options: options)
    }

    public func sync() throws { try fileSystem.sync(as: Self.caller) }
    public func close() throws { try fileSystem.close() }

    /// What the device was asked for while `body` ran.
    public func counting(_ body: () throws -> Void) rethrows -> DeviceCounts {
        let before = device.counts
        try body()
        return device.counts - before
    }

    // MARK: Directories

    /// Lends a handle on a directory, made with all above it where there is none.
    public func withDirectory<Result>(
        _ path: String, _ body: (FileHandle) throws -> Result
    ) throws -> Result {
        let names = BenchName()
        var handle = try fileSystem.walk("", as: Self.caller)
        defer { fileSystem.close(handle) }
        for part in path.split(separator: "/") {
            let name = names.set(String(part))
            let next: FileHandle
            do throws(FileError) {
                next = try fileSystem.walk(from: handle, name, as: Self.caller)
            } catch .notFound {
                let made = fileSystem.clone(handle)
                try fileSystem.create(
                    in: made, name: name, mode: ModeBits.directory | 0o755, OpenMode(.read),
                    as: Self.caller)
                next = fileSystem.clone(made)
                fileSystem.close(made)
            }
            fileSystem.close(handle)
            handle = next
        }
        return try body(handle)
    }

    /// The path of the directory that file `number` is in.
    static func directory(of number: Int, _ layout: Layout) -> String {
        switch layout {
        case .flat: return "one"
        case .nested:
            // Files of even and odd numbers share directories: the odd ones come and go.
            let index = number / 2 / directoryFiles
            return "nested/\(index / upperDirectories)/\(index % upperDirectories)"
        }
    }

    // MARK: Files

    /// Makes an empty file.
    @inline(__always)
    public func create(
        _ number: Int, in directory: FileHandle, _ names: BenchName
    ) throws(FileError) {
        let handle = fileSystem.clone(directory)
        defer { fileSystem.close(handle) }
        try fileSystem.create(
            in: handle, name: names.set(number), mode: 0o644, OpenMode(.write), as: Self.caller)
    }

    /// Walks to a file and looks at it.
    @inline(__always) @discardableResult
    public func status(
        _ number: Int, in directory: FileHandle, _ names: BenchName
    ) throws(FileError) -> FileStatus {
        let handle = try fileSystem.walk(from: directory, names.set(number), as: Self.caller)
        defer { fileSystem.close(handle) }
        return try fileSystem.status(handle, as: Self.caller)
    }

    /// Sets the time of a file: one key of the tree changes.
    @inline(__always)
    public func touch(
        _ number: Int, in directory: FileHandle, _ names: BenchName, time: Int64
    ) throws(FileError) {
        let handle = try fileSystem.walk(from: directory, names.set(number), as: Self.caller)
        defer { fileSystem.close(handle) }
        var changes = AttributeChanges()
        changes.modificationTime = time
        try fileSystem.change(handle, changes, as: Self.caller)
    }

    /// Removes a file.
    @inline(__always)
    public func remove(
        _ number: Int, in directory: FileHandle, _ names: BenchName
    ) throws(FileError) {
        let handle = try fileSystem.walk(from: directory, names.set(number), as: Self.caller)
        defer { fileSystem.close(handle) }
        try fileSystem.remove(handle, as: Self.caller)
    }

    /// Lists a directory as a server does, in pieces of 32 KiB; says how many entries it has.
    public func list(_ directory: FileHandle) throws(FileError) -> Int {
        let handle = fileSystem.clone(directory)
        defer { fileSystem.close(handle) }
        try fileSystem.open(handle, OpenMode(.read), as: Self.caller)
        var (offset, entries) = (0, 0)
        while true {
            var room = 32768
            let count = try fileSystem.readDirectory(
                handle, at: UInt64(offset), as: Self.caller
            ) { item in
                let bytes = 60 + item.name.count
                if bytes > room { return nil }
                room -= bytes
                entries += 1
                return bytes
            }
            if count == 0 { return entries }
            offset += count
        }
    }

    /// Makes the files of the even numbers from 2 x `range.lowerBound` on, in ascending order.
    public func fill(_ range: Range<Int>, _ layout: Layout) throws {
        let names = BenchName()
        var next = range.lowerBound
        while next < range.upperBound {
            let end =
                layout == .flat
                ? range.upperBound
                : min(range.upperBound, (next / Self.directoryFiles + 1) * Self.directoryFiles)
            try withDirectory(Self.directory(of: 2 * next, layout)) { directory in
                for index in next..<end { try create(2 * index, in: directory, names) }
            }
            next = end
        }
    }
}

/// Memory that names are written into, one after the other.
public final class BenchName {
    private let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 64, alignment: 8)

    public init() {}

    deinit { bytes.deallocate() }

    /// The name of a file by its number; valid until the next one is asked for.
    @inline(__always)
    public func set(_ number: Int) -> UnsafeRawBufferPointer {
        bytes[0] = UInt8(ascii: "f")
        var rest = number
        for index in (1...9).reversed() {
            let (quotient, digit) = rest.quotientAndRemainder(dividingBy: 10)
            bytes[index] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: digit)
            rest = quotient
        }
        return UnsafeRawBufferPointer(rebasing: bytes[..<10])
    }

    /// A name of at most 64 bytes; valid until the next one is asked for.
    public func set(_ text: String) -> UnsafeRawBufferPointer {
        let utf8 = Array(text.utf8.prefix(bytes.count))
        bytes.copyBytes(from: utf8)
        return UnsafeRawBufferPointer(rebasing: bytes[..<utf8.count])
    }
}
