import GefsEngine
import GefsFormat

/// Words for what only volumes with the feature `posix` can do.
extension VolumeUser {
    /// Calls `body` with the directory of a path and the last name.
    private func withName<R>(
        _ path: String, _ body: (FileHandle, UnsafeRawBufferPointer) throws -> R
    ) throws -> R {
        let (parent, name) = PathText.split(path)
        return try with(parent) { directory in
            try Array(name.utf8).withUnsafeBytes { try body(directory, $0) }
        }
    }

    /// Gives a file one more name.
    package func link(_ path: String, _ new: String) throws {
        try with(path) { file in
            try withName(new) { directory, name in
                let (handle, _) = try fileSystem.link(file, to: name, in: directory, as: caller)
                fileSystem.close(handle)
            }
        }
    }

    /// Makes a file without a name, fills it, and names it then. Calls `body` in between.
    package func makeNameless(
        _ path: String, _ content: [UInt8], _ attributes: [String: [UInt8]],
        _ body: () throws -> Void
    ) throws {
        try withName(path) { directory, name in
            let creation = PosixCreation(mode: 0o644, owner: caller.user, group: caller.user)
            let (file, _) = try fileSystem.makeNameless(in: directory, creation, as: caller)
            defer { fileSystem.close(file) }
            _ = try content.withUnsafeBytes {
                try fileSystem.writeUnchecked(file, at: 0, from: $0, as: caller)
            }
            for (name, value) in attributes {
                _ = try fileSystem.setAttribute(
                    Array(name.utf8), of: file, to: value, as: caller)
            }
            try body()
            fileSystem.close(try fileSystem.link(file, to: name, in: directory, as: caller).0)
        }
    }

    package func rename(_ path: String, to new: String, _ rule: RenameRule) throws {
        try withName(path) { directory, name in
            try withName(new) { newDirectory, newName in
                try fileSystem.rename(
                    name, in: directory, to: newName, in: newDirectory, rule, as: caller)
            }
        }
    }

    package func setAttribute(_ name: String, of path: String, to value: [UInt8]?) throws {
        try with(path) { file in
            _ = try fileSystem.setAttribute(Array(name.utf8), of: file, to: value, as: caller)
        }
    }

    /// All extended attributes of a file.
    package func attributes(_ path: String) throws -> [String: [UInt8]] {
        try with(path) { file in
            var values: [String: [UInt8]] = [:]
            for name in try fileSystem.attributeNames(of: file, as: caller) {
                let value = try fileSystem.attribute(name, of: file, as: caller)
                values[String(decoding: name, as: UTF8.self)] = value
            }
            return values
        }
    }

    /// How many names a file says that it has.
    package func linkCount(_ path: String) throws -> Int {
        try with(path) { Int(try fileSystem.posixStatus($0).linkCount) }
    }
}
