import GefsControl
import GefsEngine

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The folder that `rescue` makes: one folder for each tree, and `RESCUE.json` about all of it.
final class RescueFolder {
    private static let reportName = Array("RESCUE.json".utf8)

    let path: String
    private let descriptor: Int32
    private let report: Int32
    private var pending: [UInt8] = []
    private var isFirst = true

    /// Makes the folder, or takes one that is empty.
    ///
    /// - Parameter isForced: what is in the folder stays, and what is new gets other names.
    init(_ path: String, isForced: Bool) throws {
        self.path = path
        let made = LocalFile.withBytes(of: path) { mkdir($0, 0o700) }
        if made != 0, errno != EEXIST { throw LocalDescriptor.failure(path) }
        let flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC
        let descriptor = LocalFile.withBytes(of: path) { open($0, flags) }
        self.descriptor = descriptor
        guard descriptor >= 0 else { throw LocalDescriptor.failure(path) }
        if made != 0, !isForced {
            let side = LocalSide()
            guard
                try side.children(of: ByteText.bytes(of: path), followsLinks: false).isEmpty
            else {
                close(descriptor)
                throw CommandFailure(
                    ByteText.shown(path), "is not empty",
                    next: "name a new folder, or say --force to add to it")
            }
        }
        var name = Self.reportName
        var file: Int32 = -1
        for attempt in 2..<10_000 {
            let creating = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
            file = LocalFile.withBytes(of: ByteText.string(name)) {
                openat(descriptor, $0, creating, 0o600)
            }
            if file >= 0 || errno != EEXIST { break }
            name = Array("RESCUE~\(attempt).json".utf8)
        }
        guard file >= 0 else { throw LocalDescriptor.failure(path) }
        report = file
        try write("[\n")
    }

    deinit {
        close(report)
        close(descriptor)
    }

    /// A folder for one tree.
    func makeTree(_ label: [UInt8]) throws -> (sink: FolderSink, name: [UInt8]) {
        let top = FolderSink(descriptor, shown: path)
        let safe = Rescue.safeName(label)
        let name = try top.makeDirectory(safe, in: [])
        let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
        let folder = LocalFile.withBytes(of: ByteText.string(name)) {
            openat(descriptor, $0, flags)
        }
        guard folder >= 0 else { throw LocalDescriptor.failure(path) }
        return (FolderSink(folder, shown: path + "/" + ByteText.shown(name), closes: true), name)
    }

    /// Adds an object to `RESCUE.json`.
    func add(_ object: some Report) throws {
        if !isFirst { try write(",\n") }
        isFirst = false
        try write(try ReportLine.encode(object))
    }

    /// Ends `RESCUE.json`.
    func finish() throws {
        try write("\n]\n")
        try flush()
    }

    private func write(_ text: String) throws { try write(Array(text.utf8)) }

    private func write(_ bytes: [UInt8]) throws {
        pending += bytes
        if pending.count > 1 << 16 { try flush() }
    }

    private func flush() throws {
        try pending.withUnsafeBytes {
            try LocalDescriptor.writeAll(report, $0, name: path + "/RESCUE.json")
        }
        pending.removeAll(keepingCapacity: true)
    }
}
