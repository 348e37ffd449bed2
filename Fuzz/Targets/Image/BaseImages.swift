import GefsFormat

@testable import GefsEngine

/// Small volumes that inputs change: as small as they are made, with everything that there can be.
enum BaseImages {
    static let caller = Caller(user: .adm, isPermissive: true)

    private static let pool = BlockBufferPool()

    /// No commits but those asked for, little memory, which all volumes share, and a clock that stands
    /// still.
    static var options: VolumeOptions {
        var options = VolumeOptions()
        options.pool = pool
        options.commitIntervalNanoseconds = nil
        options.cacheBytes = 8 << 20
        options.clock = { 1_795_000_000_000_000_000 }
        return options
    }

    /// A volume that was just made, with a user glenda.
    static func fresh(_ dialect: Dialect) throws -> MemoryImage {
        let memory = MemoryDevice(byteCount: Ream.deviceBytesMin)
        try Ream.run(device: memory, user: "glenda", dialect: dialect)
        return memory.image
    }

    /// A volume with a tree of two levels, snapshots, a fork, deadlists, a schedule, a record of data
    /// to be cleared, and the pending list of its last commit.
    static func populated(_ dialect: Dialect) throws -> MemoryImage {
        let memory = MemoryDevice(try fresh(dialect))
        let fileSystem = try FileSystem.open(memory, options: options)
        try populate(fileSystem)
        let image = memory.image
        try fileSystem.close()
        return image
    }

    /// A volume with a few files, snapshots, a fork and a schedule, quickly checked.
    static func small(_ dialect: Dialect) throws -> MemoryImage {
        let memory = MemoryDevice(try fresh(dialect))
        let fileSystem = try FileSystem.open(memory, options: options)
        for name in ["a", "a/b"] { try makeDirectory(name, fileSystem) }
        for index in 0..<2 { try fileSystem.write(data(index), to: "a/b/\(index)", as: caller) }
        try fileSystem.write(Array("small".utf8), to: "a/small", as: caller)
        try fileSystem.change([.snapshot(of: name("main"), as: name("one"))], as: caller)
        try fileSystem.write(data(9), to: "a/b/1", as: caller)
        try fileSystem.change(
            [
                .fork(of: name("main"), as: name("work")),
                .configure(key: name("retain"), value: name("2@m @d")),
            ], as: caller)
        try fileSystem.write(data(8), to: "a/b/0", in: "work", as: caller)
        try fileSystem.change([.snapshot(of: name("work"), as: name("two"))], as: caller)
        try remove("a/small", fileSystem)
        try fileSystem.close()
        return memory.image
    }

    private static func populate(_ fileSystem: FileSystem) throws {
        let padding = String(repeating: "x", count: 225)
        for name in ["a", "a/b", "a/b/c", "d"] {
            try makeDirectory(name, fileSystem)
        }
        for index in 0..<60 { try fileSystem.write([], to: "d/\(index)\(padding)", as: caller) }
        for index in 0..<4 { try fileSystem.write(data(index), to: "a/b/c/\(index)", as: caller) }
        try fileSystem.write(Array("small".utf8), to: "a/small", as: caller)
        try fileSystem.sync(as: caller)
        try fileSystem.change([.snapshot(of: name("main"), as: name("one"))], as: caller)
        try fileSystem.write(data(9), to: "a/b/c/1", as: caller)
        try remove("d/7\(padding)", fileSystem)
        try fileSystem.change(
            [
                .fork(of: name("main"), as: name("work")),
                .configure(key: name("retain"), value: name("2@m @d")),
            ], as: caller)
        try fileSystem.write(data(8), to: "a/b/c/2", in: "work", as: caller)
        try fileSystem.sync(as: caller)
        try fileSystem.change([.snapshot(of: name("work"), as: name("two"))], as: caller)
        try fileSystem.write(data(7), to: "a/b/c/2", in: "work", as: caller)
        try fileSystem.write(data(6), to: "a/b/c/3", as: caller)
        try fileSystem.sync(as: caller)
        try fileSystem.change([.snapshot(of: name("main"), as: name("three"))], as: caller)
        try remove("a/small", fileSystem)
        try fileSystem.write(data(5), to: "a/b/c/3", as: caller)
        try fileSystem.sync(as: caller)
    }

    /// Two blocks and a piece.
    private static func data(_ seed: Int) -> [UInt8] {
        (0..<(2 * Geometry.blockBytes + 100)).map { UInt8(truncatingIfNeeded: $0 * 7 + seed) }
    }

    static func name(_ text: String) -> [UInt8] { Array(text.utf8) }

    static func makeDirectory(_ path: String, _ fileSystem: FileSystem) throws {
        let parts = path.split(separator: "/")
        let parent = try fileSystem.walk(
            parts.dropLast().joined(separator: "/"), as: caller)
        defer { fileSystem.close(parent) }
        try name(String(parts.last ?? "")).withBytes { (bytes) throws(FileError) -> Void in
            try fileSystem.create(
                in: parent, name: bytes, mode: ModeBits.directory | 0o775, OpenMode(.read),
                as: caller)
        }
    }

    static func remove(_ path: String, _ fileSystem: FileSystem) throws {
        let handle = try fileSystem.walk(path, as: caller)
        defer { fileSystem.close(handle) }
        try fileSystem.remove(handle, as: caller)
    }
}
