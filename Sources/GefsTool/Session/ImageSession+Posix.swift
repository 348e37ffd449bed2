import GefsControl
import GefsEngine

/// What 9P has no words for: hard links and extended attributes. Source: Docs/FORMAT.md 12.
///
/// At hand where the volume is open in this process, has the feature `posix`, and nobody asked for
/// the permissions of one user to count.
extension ImageSession {
    private static var caller: Caller { Caller(user: .adm, isPermissive: true) }

    /// Whether files may have several names and extended attributes here.
    var keepsPosix: Bool { posixVolume != nil }

    private static func walk(
        _ fileSystem: FileSystem, _ elements: [[UInt8]], _ label: [UInt8]
    ) throws(FileError) -> FileHandle {
        var handle = try fileSystem.attach(label, as: caller)
        for name in elements {
            let above = handle
            defer { fileSystem.close(above) }
            handle = try lend(name) { (name) throws(FileError) in
                try fileSystem.walk(from: above, name, as: caller)
            }
        }
        return handle
    }

    private static func lend<R>(
        _ name: [UInt8], _ body: (UnsafeRawBufferPointer) throws(FileError) -> R
    ) throws(FileError) -> R {
        let result = name.withUnsafeBytes { bytes -> Result<R, FileError> in
            do throws(FileError) {
                return .success(try body(bytes))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    private func withHandle<R>(
        _ target: TargetPath, _ body: (FileSystem, FileHandle) throws(FileError) -> R
    ) throws -> R {
        guard let fileSystem = posixVolume else {
            throw CommandFailure(target.shown, "not supported by this volume")
        }
        do throws(FileError) {
            let label = try fileSystem.resolve(target.branchName)
            let handle = try Self.walk(fileSystem, target.elements, label)
            defer { fileSystem.close(handle) }
            return try body(fileSystem, handle)
        } catch {
            throw CommandFailure(target.shown, "\(error)")
        }
    }

    /// The number of a file that has several names.
    func linkedNumber(of target: TargetPath) throws -> UInt64? {
        try withHandle(target) { (fileSystem, handle) throws(FileError) in
            let status = try fileSystem.posixStatus(handle)
            return status.linkCount > 1 ? status.qidPath : nil
        }
    }

    func attributes(of target: TargetPath) throws -> [CopyAttribute] {
        try withHandle(target) { (fileSystem, handle) throws(FileError) in
            var attributes: [CopyAttribute] = []
            for name in try fileSystem.attributeNames(of: handle, as: Self.caller) {
                let value = try fileSystem.attribute(name, of: handle, as: Self.caller)
                if let value { attributes.append((name, value)) }
            }
            return attributes
        }
    }

    func setAttribute(_ attribute: CopyAttribute, of target: TargetPath) throws {
        try withHandle(target) { (fileSystem, handle) throws(FileError) in
            _ = try fileSystem.setAttribute(
                attribute.name, of: handle, to: attribute.value, as: Self.caller)
        }
    }

    /// Gives a file one more name in the same branch, where nothing is.
    func makeLink(_ target: TargetPath, to existing: TargetPath) throws {
        guard let name = target.name else { throw CommandFailure(target.shown, "exists already") }
        try withHandle(existing) { (fileSystem, file) throws(FileError) in
            let label = try fileSystem.resolve(target.branchName)
            let parent = try Self.walk(fileSystem, target.parent.elements, label)
            defer { fileSystem.close(parent) }
            let (made, _) = try Self.lend(name) { (name) throws(FileError) in
                try fileSystem.link(file, to: name, in: parent, as: Self.caller)
            }
            fileSystem.close(made)
        }
    }
}
