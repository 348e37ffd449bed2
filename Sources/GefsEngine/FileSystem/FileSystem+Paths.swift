import GefsFormat

/// Conveniences for programs that use the engine as a library and think in paths.
extension FileSystem {
    /// A handle on the file at `path`, slashes between names; to be given back with `close(_:)`.
    ///
    /// - Throws: `FileError` of the first name that fails; `.unknownLabel`.
    public func walk(
        _ path: String, in label: String = "main", as caller: Caller
    ) throws(FileError) -> FileHandle {
        var handle = try attach(Array(label.utf8), as: caller)
        for name in path.split(separator: "/") {
            let directory = handle
            defer { close(directory) }
            handle = try Array(name.utf8).withBytes { (bytes) throws(FileError) -> FileHandle in
                try walk(from: handle, bytes, as: caller)
            }
        }
        return handle
    }

    /// All bytes of the file at `path`.
    public func contents(
        of path: String, in label: String = "main", as caller: Caller
    ) throws(FileError) -> [UInt8] {
        let handle = try walk(path, in: label, as: caller)
        defer { close(handle) }
        try open(handle, OpenMode(.read), as: caller)
        let length = try status(handle, as: caller).length
        guard let count = Int(exactly: length) else { throw .offsetOutOfRange }
        var bytes = [UInt8](repeating: 0, count: count)
        let got = try readAll(handle, into: &bytes, as: caller)
        bytes.removeLast(count - got)
        return bytes
    }

    /// Makes the file at `path`, or empties it, and writes `bytes` into it.
    ///
    /// The directory must exist. Durable after the next `sync(as:)`.
    public func write(
        _ bytes: [UInt8], to path: String, in label: String = "main", as caller: Caller
    ) throws(FileError) {
        let handle = try openEmpty(path, in: label, as: caller)
        defer { close(handle) }
        _ = try bytes.withBytes { (bytes) throws(FileError) -> Int in
            try write(handle, at: 0, from: bytes, as: caller)
        }
    }

    private func openEmpty(
        _ path: String, in label: String, as caller: Caller
    ) throws(FileError) -> FileHandle {
        do throws(FileError) {
            let handle = try walk(path, in: label, as: caller)
            do throws(FileError) {
                try open(handle, OpenMode(.write, truncates: true), as: caller)
            } catch {
                close(handle)
                throw error
            }
            return handle
        } catch .notFound {
            return try makeFile(path, in: label, as: caller)
        }
    }

    private func makeFile(
        _ path: String, in label: String, as caller: Caller
    ) throws(FileError) -> FileHandle {
        let names = path.split(separator: "/")
        let name = Array((names.last ?? "").utf8)
        let directory = names.dropLast().joined(separator: "/")
        let handle = try walk(directory, in: label, as: caller)
        do throws(FileError) {
            try name.withBytes { (bytes) throws(FileError) -> Void in
                try create(in: handle, name: bytes, mode: 0o666, OpenMode(.readWrite), as: caller)
            }
        } catch {
            close(handle)
            throw error
        }
        return handle
    }
}
