import GefsFormat
import Testing

@testable import GefsEngine

/// A small volume in memory, and short words for what tests do with it.
///
/// The file system may be used by several threads; `label` and `caller` are for one at a time.
final class TestVolume: @unchecked Sendable {
    static let deviceBytes: UInt64 = (128 << 20) + UInt64(Geometry.blockBytes)
    static let user = UserID(rawValue: 1)

    let device: RecordingDevice
    private(set) var fileSystem: FileSystem
    var caller = Caller(user: TestVolume.user, isPermissive: true)
    /// Whose volume this is a view of.
    private let owner: TestVolume?

    /// A freshly made volume.
    convenience init(options: VolumeOptions = TestVolume.options) throws {
        let memory = MemoryDevice(byteCount: Self.deviceBytes)
        try Ream.run(device: memory, user: "glenda")
        try self.init(image: memory.image, options: options)
    }

    /// A volume on a given image.
    convenience init(image: MemoryImage, options: VolumeOptions = TestVolume.options) throws {
        try self.init(on: MemoryDevice(image), options: options)
    }

    /// A volume on a device that holds one.
    init(on below: any BlockDevice, options: VolumeOptions = TestVolume.options) throws {
        device = try RecordingDevice(below)
        owner = nil
        fileSystem = try FileSystem.open(device, options: options)
    }

    /// Another view of an open volume, for another thread: it has a label of its own.
    init(sharing other: TestVolume, label: String) {
        device = other.device
        fileSystem = other.fileSystem
        owner = other
        self.label = label
    }

    deinit {
        // Ends the threads of volumes that a test leaves open; of no other use.
        if owner == nil { fileSystem.volume.stop() }
    }

    /// No commits but those asked for.
    static var options: VolumeOptions {
        var options = VolumeOptions()
        options.commitIntervalNanoseconds = nil
        options.cacheBytes = 32 << 20
        return options
    }

    /// The label that paths are of.
    var label = "main"

    func root(_ label: String? = nil) throws -> FileHandle {
        try fileSystem.attach(Array((label ?? self.label).utf8), as: caller)
    }

    /// A handle on a path; to be closed.
    func walk(_ path: String, label: String? = nil) throws -> FileHandle {
        var handle = try root(label)
        for part in path.split(separator: "/") {
            let next: FileHandle
            do {
                next = try Array(part.utf8).withBytes { (name) throws(FileError) -> FileHandle in
                    try fileSystem.walk(from: handle, name, as: caller)
                }
            } catch {
                fileSystem.close(handle)
                throw error
            }
            fileSystem.close(handle)
            handle = next
        }
        return handle
    }

    @discardableResult
    func with<R>(_ path: String, _ body: (FileHandle) throws -> R) throws -> R {
        let handle = try walk(path)
        defer { fileSystem.close(handle) }
        return try body(handle)
    }

    static func split(_ path: String) -> (parent: String, name: String) {
        let parts = path.split(separator: "/")
        return (parts.dropLast().joined(separator: "/"), String(parts.last ?? ""))
    }

    /// Creates a file or directory; the handle is open and to be closed.
    func create(
        _ path: String, mode: UInt32 = 0o644, _ access: OpenMode.Access = .readWrite
    ) throws -> FileHandle {
        let (parent, name) = Self.split(path)
        let handle = try walk(parent)
        let isDirectory = mode & ModeBits.directory != 0
        do {
            try Array(name.utf8).withBytes { (bytes) throws(FileError) -> Void in
                try fileSystem.create(
                    in: handle, name: bytes, mode: mode, OpenMode(isDirectory ? .read : access),
                    as: caller)
            }
        } catch {
            fileSystem.close(handle)
            throw error
        }
        return handle
    }

    func makeFile(_ path: String, _ bytes: [UInt8] = []) throws {
        let handle = try create(path)
        defer { fileSystem.close(handle) }
        if !bytes.isEmpty { try write(handle, bytes, at: 0) }
    }

    func makeDirectory(_ path: String) throws {
        fileSystem.close(try create(path, mode: ModeBits.directory | 0o755))
    }

    func write(_ handle: FileHandle, _ bytes: [UInt8], at offset: UInt64) throws {
        let count = try bytes.withBytes { (raw) throws(FileError) -> Int in
            try fileSystem.write(handle, at: offset, from: raw, as: caller)
        }
        #expect(count == bytes.count)
    }

    func write(_ path: String, _ bytes: [UInt8], at offset: UInt64) throws {
        try with(path) { handle in
            try fileSystem.open(handle, OpenMode(.write), as: caller)
            try write(handle, bytes, at: offset)
        }
    }

    func read(_ handle: FileHandle, at offset: UInt64 = 0, count: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0xAA, count: count)
        let got = try bytes.withUnsafeMutableBytes {
            try fileSystem.read(handle, at: offset, into: $0, as: caller)
        }
        return Array(bytes[..<got])
    }

    func read(_ path: String) throws -> [UInt8] {
        try with(path) { handle in
            try fileSystem.open(handle, OpenMode(.read), as: caller)
            let length = try fileSystem.status(handle, as: caller).length
            return try read(handle, count: Int(length) + 1)
        }
    }

    func remove(_ path: String) throws {
        try with(path) { try fileSystem.remove($0, as: caller) }
    }

    func change(_ path: String, _ edit: (inout AttributeChanges) -> Void) throws {
        var changes = AttributeChanges()
        edit(&changes)
        try with(path) { try fileSystem.change($0, changes, as: caller) }
    }

    func status(_ path: String) throws -> FileStatus {
        try with(path) { try fileSystem.status($0, as: caller) }
    }

    /// Names in a directory, in the order they are listed.
    func list(_ path: String, bytesPerCall: Int = 4096) throws -> [String] {
        try with(path) { handle in
            try fileSystem.open(handle, OpenMode(.read), as: caller)
            var names: [String] = []
            var offset: UInt64 = 0
            while true {
                var rest = bytesPerCall
                let used = try fileSystem.readDirectory(handle, at: offset, as: caller) { item in
                    let size = 50 + item.name.count
                    guard size <= rest else { return nil }
                    rest -= size
                    names.append(String(decoding: item.name, as: UTF8.self))
                    return size
                }
                if used == 0 { return names }
                offset += UInt64(used)
            }
        }
    }

    func sync() throws {
        try fileSystem.sync(as: caller)
    }

    /// Closes the volume and opens it again on the same image.
    func reopen(options: VolumeOptions = TestVolume.options) throws {
        try fileSystem.close()
        fileSystem = try FileSystem.open(device, options: options)
    }
}
