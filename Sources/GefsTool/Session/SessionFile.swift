import GefsClient
import GefsControl
import GefsEngine
import NineP

/// A file of a session: a fid, and the target that it was walked to for.
///
/// Errors name the target. To be closed by who got it.
final class SessionFile {
    private let file: RemoteFile
    private let target: TargetPath
    private(set) var isDirectory: Bool

    init(_ file: RemoteFile, _ target: TargetPath) {
        self.file = file
        self.target = target
        isDirectory = file.isDirectory
    }

    private func asking<R>(_ body: () throws(ClientError) -> R) throws -> R {
        do throws(ClientError) {
            return try body()
        } catch {
            throw RemoteRefusal(error).failure(about: target.shown)
        }
    }

    /// The file below this directory; nil where there is none.
    func walk(_ names: [[UInt8]], to target: TargetPath) throws -> SessionFile? {
        do throws(ClientError) {
            return SessionFile(try file.walk(names), target)
        } catch {
            let refusal = RemoteRefusal(error)
            if case .notFound = refusal.kind { return nil }
            throw refusal.failure(about: target.shown)
        }
    }

    /// Another, unopened reference to the same file, for what will become of it.
    func duplicate(_ target: TargetPath) throws -> SessionFile {
        SessionFile(try asking { () throws(ClientError) in try file.walk([]) }, target)
    }

    func status() throws -> FileEntry {
        FileEntry(try asking { () throws(ClientError) in try file.status() })
    }

    func open(_ mode: OpenMode) throws {
        try asking { () throws(ClientError) in try file.open(Self.flags(mode)) }
    }

    /// Makes a file in this directory and becomes it, open.
    func create(_ name: [UInt8], mode: UInt32, _ openMode: OpenMode) throws {
        try asking { () throws(ClientError) in
            try file.create(name, permissions: mode, mode: Self.flags(openMode))
        }
        isDirectory = mode & ModeBits.directory != 0
    }

    private static func flags(_ mode: OpenMode) -> UInt8 {
        mode.access.rawValue | (mode.truncates ? OpenFlags.truncate : 0)
            | (mode.removesOnClose ? OpenFlags.removeOnClose : 0)
    }

    /// Hands out the contents in order.
    ///
    /// - Parameter runsAhead: several reads may be under way. Not where `body` uses the same
    ///   connection: their replies would be in its way.
    func readAll(
        runsAhead: Bool, _ body: (UInt64, UnsafeRawBufferPointer) throws -> Void
    ) throws {
        guard runsAhead else { return try readStepwise(body) }
        var offset: UInt64 = 0
        var failure: (any Error)?
        do throws(ClientError) {
            _ = try file.read(from: 0, count: .max) { piece throws(ClientError) in
                do {
                    try piece.withUnsafeBytes { try body(offset, $0) }
                } catch {
                    failure = error
                    // Any error ends the transfer; the one that was kept is thrown instead.
                    throw .fileClosed
                }
                offset += UInt64(piece.count)
            }
        } catch {
            throw failure ?? RemoteRefusal(error).failure(about: target.shown)
        }
    }

    private func readStepwise(
        _ body: (UInt64, UnsafeRawBufferPointer) throws -> Void
    ) throws {
        var offset: UInt64 = 0
        while true {
            let piece = try asking { () throws(ClientError) in
                try file.readOnce(at: offset, count: .max)
            }
            if piece.isEmpty { return }
            try piece.withUnsafeBytes { try body(offset, $0) }
            offset += UInt64(piece.count)
        }
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws {
        try asking { () throws(ClientError) in try file.write(Array(bytes), at: offset) }
    }

    /// What is in this directory, in the order of the disk.
    func entries() throws -> [FileEntry] {
        try asking { () throws(ClientError) in try file.list() }.map { FileEntry($0) }
    }

    func change(_ change: FileChange) throws {
        var changes = RemoteChanges(
            length: change.size, mode: change.mode, modificationTime: change.modified)
        changes.name = change.name
        changes.user = change.owner
        changes.group = change.group
        try asking { () throws(ClientError) in try file.change(changes) }
    }

    /// Returns when everything that the server has acknowledged is durable.
    func sync() throws {
        try asking { () throws(ClientError) in try file.sync() }
    }

    /// Removes the file, and closes it in any case.
    func remove() throws {
        try asking { () throws(ClientError) in try file.remove() }
    }

    /// Gives the fid back; a failure of that has nothing to tell.
    func close() {
        try? file.clunk()
    }
}

extension FileEntry {
    init(_ status: RemoteStatus) {
        self.init(
            name: status.name, mode: status.mode,
            qid: Qid(path: status.qid.path, version: status.qid.version, type: status.qid.type),
            size: status.length, accessed: status.accessTime, modified: status.modificationTime,
            owner: Array(status.user.utf8), group: Array(status.group.utf8),
            lastModifier: Array(status.lastModifier.utf8))
    }
}
