import GefsEngine
import GefsFormat
import Synchronization

/// A volume in memory and what a stress does with it, by paths.
final class StressVolume {
    static let deviceBytes: UInt64 = (128 << 20) + 16384
    private static let caller = Caller(user: UserID(rawValue: 1), isPermissive: true)

    let device: MemoryDevice
    private(set) var fileSystem: FileSystem
    private let messages: Messages

    /// What the volume has logged.
    final class Messages: Sendable {
        private let lines = Mutex<[String]>([])

        func add(_ line: String) { lines.withLock { $0.append(line) } }
        var all: [String] { lines.withLock { $0 } }
    }

    var log: [String] { messages.all }

    /// A fresh volume.
    convenience init(features: FormatFeatures) throws {
        let device = MemoryDevice(byteCount: Self.deviceBytes)
        try Ream.run(device: device, user: "glenda", features: features)
        try self.init(device)
    }

    init(_ device: MemoryDevice) throws {
        self.device = device
        messages = Messages()
        fileSystem = try FileSystem.open(device, options: Self.options(messages))
    }

    private static func options(_ messages: Messages) -> VolumeOptions {
        var options = VolumeOptions()
        options.commitIntervalNanoseconds = nil
        options.cacheBytes = 16 << 20
        options.log = { messages.add($0) }
        return options
    }

    func reopen() throws(FileError) {
        try fileSystem.close()
        fileSystem = try FileSystem.open(device, options: Self.options(messages))
    }

    // MARK: Files

    private func with<Result>(
        _ path: String, in label: String, _ body: (FileHandle) throws(FileError) -> Result
    ) throws(FileError) -> Result {
        let handle = try fileSystem.walk(path, in: label, as: Self.caller)
        defer { fileSystem.close(handle) }
        return try body(handle)
    }

    /// Lends the directory of a path and the name in it.
    private func withPlace(
        _ path: String, in label: String,
        _ body: (FileHandle, UnsafeRawBufferPointer) throws(FileError) -> Void
    ) throws(FileError) {
        let parent = StressTree.parent(path)
        let name = Array(path.utf8.dropFirst(parent.isEmpty ? 0 : parent.utf8.count + 1))
        try with(parent, in: label) { (handle) throws(FileError) -> Void in
            try Self.lending(name) { (bytes) throws(FileError) -> Void in
                try body(handle, bytes)
            }
        }
    }

    func make(_ path: String, in label: String, isDirectory: Bool) throws(FileError) {
        try withPlace(path, in: label) { (handle, name) throws(FileError) -> Void in
            try fileSystem.create(
                in: handle, name: name, mode: isDirectory ? ModeBits.directory | 0o755 : 0o644,
                OpenMode(isDirectory ? .read : .readWrite), as: Self.caller)
        }
    }

    /// Gives a file a second name.
    func link(_ path: String, to other: String, in label: String) throws(FileError) {
        try with(path, in: label) { (file) throws(FileError) -> Void in
            try withPlace(other, in: label) { (directory, name) throws(FileError) -> Void in
                let (handle, _) = try fileSystem.link(
                    file, to: name, in: directory, as: Self.caller)
                fileSystem.close(handle)
            }
        }
    }

    /// Takes one name of a file away.
    func unlink(_ path: String, in label: String) throws(FileError) {
        try withPlace(path, in: label) { (directory, name) throws(FileError) -> Void in
            try fileSystem.removeName(name, in: directory, isDirectory: false, as: Self.caller)
        }
    }

    private static let attribute = Array("user.stress".utf8)

    func setAttribute(_ value: [UInt8]?, of path: String, in label: String) throws(FileError) {
        try with(path, in: label) { (handle) throws(FileError) -> Void in
            _ = try fileSystem.setAttribute(
                Self.attribute, of: handle, to: value, as: Self.caller)
        }
    }

    func punch(_ range: Range<Int>, in path: String, _ label: String) throws(FileError) {
        try with(path, in: label) { (handle) throws(FileError) -> Void in
            try fileSystem.makeHole(
                handle, UInt64(range.lowerBound)..<UInt64(range.upperBound), as: Self.caller)
        }
    }

    func write(
        _ bytes: [UInt8], to path: String, in label: String, at offset: Int
    ) throws(FileError) {
        try with(path, in: label) { (handle) throws(FileError) -> Void in
            try fileSystem.open(handle, OpenMode(.write), as: Self.caller)
            _ = try Self.lending(bytes) { (raw) throws(FileError) -> Int in
                try fileSystem.write(handle, at: UInt64(offset), from: raw, as: Self.caller)
            }
        }
    }

    func remove(_ path: String, in label: String) throws(FileError) {
        // The handle goes with the removal, whatever becomes of that.
        try with(path, in: label) { (handle) throws(FileError) -> Void in
            try fileSystem.remove(handle, as: Self.caller)
        }
    }

    func setLength(_ path: String, in label: String, _ length: Int) throws(FileError) {
        var changes = AttributeChanges()
        changes.length = UInt64(length)
        try with(path, in: label) { (handle) throws(FileError) -> Void in
            try fileSystem.change(handle, changes, as: Self.caller)
        }
    }

    func rename(_ path: String, in label: String, to name: String) throws(FileError) {
        var changes = AttributeChanges()
        changes.name = Array(name.utf8)
        try with(path, in: label) { (handle) throws(FileError) -> Void in
            try fileSystem.change(handle, changes, as: Self.caller)
        }
    }

    func length(of path: String, in label: String) throws(FileError) -> Int {
        try with(path, in: label) { (handle) throws(FileError) -> Int in
            Int(clamping: try fileSystem.status(handle, as: Self.caller).length)
        }
    }

    func contents(of path: String, in label: String) throws(FileError) -> [UInt8] {
        try fileSystem.contents(of: path, in: label, as: Self.caller)
    }

    /// All that a label holds.
    func tree(of label: String) throws(FileError) -> StressTree {
        var found = StressTree()
        var waiting = [""]
        while let directory = waiting.popLast() {
            for (name, isDirectory) in try list(directory, in: label) {
                let path = directory.isEmpty ? name : directory + "/" + name
                if isDirectory {
                    found.set(path, nil)
                    waiting.append(path)
                } else {
                    found.set(path, try contents(of: path, in: label))
                    let value = try with(path, in: label) { (handle) throws(FileError) in
                        try fileSystem.attribute(Self.attribute, of: handle, as: Self.caller)
                    }
                    found.setAttribute(value, of: path)
                }
            }
        }
        return found
    }

    private func list(
        _ path: String, in label: String
    ) throws(FileError) -> [(name: String, isDirectory: Bool)] {
        try with(path, in: label) {
            (handle) throws(FileError) -> [(name: String, isDirectory: Bool)] in
            try fileSystem.open(handle, OpenMode(.read), as: Self.caller)
            var names: [(name: String, isDirectory: Bool)] = []
            _ = try fileSystem.readDirectory(handle, at: 0, as: Self.caller) { item in
                names.append(
                    (
                        String(decoding: item.name, as: UTF8.self),
                        item.entry.mode & ModeBits.directory != 0
                    ))
                return 1
            }
            return names
        }
    }

    // MARK: The volume

    func sync() throws(FileError) { try fileSystem.sync(as: Self.caller) }

    func change(_ changes: HistoryChange...) throws(FileError) {
        try fileSystem.change(changes, as: Self.caller)
    }

    /// Lends bytes to a function whose typed error passes through.
    private static func lending<Result>(
        _ bytes: [UInt8], _ body: (UnsafeRawBufferPointer) throws(FileError) -> Result
    ) throws(FileError) -> Result {
        let result = bytes.withUnsafeBytes { raw -> Swift.Result<Result, FileError> in
            do throws(FileError) { return .success(try body(raw)) } catch { return .failure(error) }
        }
        return try result.get()
    }
}
