import GefsEngine
import GefsFormat

/// Somebody who uses an open volume, with short words for what tests and workloads do with it.
///
/// `label` and `caller` are for one thread at a time.
package protocol VolumeUser: AnyObject {
    /// The volume.
    var fileSystem: FileSystem { get }
    /// On whose behalf.
    var caller: Caller { get set }
    /// The label that paths are of.
    var label: String { get set }
    /// Called after each change of files: for those who want nothing to go on by itself.
    func settle() throws
}

/// What a model and a volume disagree on.
package enum ModelError: Error, Hashable {
    case shortWrite(wrote: Int, of: Int)
    /// A file does not read as what was written.
    case differs(path: String)
}

/// Paths of models: names with slashes between, none in front.
package enum PathText {
    /// The directory and the last name.
    package static func split(_ path: String) -> (parent: String, name: String) {
        let parts = path.split(separator: "/")
        return (parts.dropLast().joined(separator: "/"), String(parts.last ?? ""))
    }
}

extension VolumeUser {
    package func settle() throws {}

    package func root(_ label: String? = nil) throws -> FileHandle {
        try fileSystem.attach(Array((label ?? self.label).utf8), as: caller)
    }

    /// A handle on a path; to be closed.
    package func walk(_ path: String, label: String? = nil) throws -> FileHandle {
        var handle = try root(label)
        for part in path.split(separator: "/") {
            let next: FileHandle
            do {
                next = try Array(part.utf8).withUnsafeBytes { name in
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
    package func with<R>(_ path: String, _ body: (FileHandle) throws -> R) throws -> R {
        let handle = try walk(path)
        defer { fileSystem.close(handle) }
        return try body(handle)
    }

    /// Creates a file or directory; the handle is open and to be closed.
    package func create(
        _ path: String, mode: UInt32 = 0o644, _ access: OpenMode.Access = .readWrite
    ) throws -> FileHandle {
        let (parent, name) = PathText.split(path)
        let handle = try walk(parent)
        let isDirectory = mode & ModeBits.directory != 0
        do {
            try Array(name.utf8).withUnsafeBytes { bytes in
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

    package func makeFile(_ path: String, _ bytes: [UInt8] = []) throws {
        let handle = try create(path)
        defer { fileSystem.close(handle) }
        if !bytes.isEmpty { try write(handle, bytes, at: 0) }
    }

    package func makeDirectory(_ path: String) throws {
        fileSystem.close(try create(path, mode: ModeBits.directory | 0o755))
    }

    package func write(_ handle: FileHandle, _ bytes: [UInt8], at offset: UInt64) throws {
        let count = try bytes.withUnsafeBytes { raw in
            try fileSystem.write(handle, at: offset, from: raw, as: caller)
        }
        guard count == bytes.count else {
            throw ModelError.shortWrite(wrote: count, of: bytes.count)
        }
    }

    package func write(_ path: String, _ bytes: [UInt8], at offset: UInt64) throws {
        try with(path) { handle in
            try fileSystem.open(handle, OpenMode(.write), as: caller)
            try write(handle, bytes, at: offset)
        }
    }

    package func read(_ handle: FileHandle, at offset: UInt64 = 0, count: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0xAA, count: count)
        let got = try bytes.withUnsafeMutableBytes {
            try fileSystem.read(handle, at: offset, into: $0, as: caller)
        }
        return Array(bytes[..<got])
    }

    package func read(_ path: String) throws -> [UInt8] {
        try with(path) { handle in
            try fileSystem.open(handle, OpenMode(.read), as: caller)
            let length = try fileSystem.status(handle, as: caller).length
            return try read(handle, count: Int(length) + 1)
        }
    }

    package func remove(_ path: String) throws {
        try with(path) { try fileSystem.remove($0, as: caller) }
    }

    package func change(_ path: String, _ edit: (inout AttributeChanges) -> Void) throws {
        var changes = AttributeChanges()
        edit(&changes)
        try with(path) { try fileSystem.change($0, changes, as: caller) }
    }

    package func status(_ path: String) throws -> FileStatus {
        try with(path) { try fileSystem.status($0, as: caller) }
    }

    /// Names in a directory, in the order they are listed.
    package func list(_ path: String, bytesPerCall: Int = 4096) throws -> [String] {
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

    package func sync() throws {
        try fileSystem.sync(as: caller)
    }
}

extension VolumeUser {
    package func change(_ changes: HistoryChange...) throws { try change(changes) }

    package func change(_ changes: [HistoryChange]) throws {
        try fileSystem.change(changes, as: caller)
    }

    /// What is in every label but the file system's own.
    package func state() throws -> HistoryWorkload.State {
        try HistoryState(of: self).labels
    }
}
