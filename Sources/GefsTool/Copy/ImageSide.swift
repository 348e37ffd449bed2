import GefsControl
import GefsEngine

/// The image as one end of a copy.
final class ImageSide: CopySide {
    typealias Place = TargetPath

    private let session: ImageSession

    init(_ session: ImageSession) {
        self.session = session
    }

    func child(_ name: [UInt8], of place: TargetPath) -> TargetPath {
        place.appending(name)
    }

    func shown(_ place: TargetPath) -> String {
        place.shown
    }

    func item(at place: TargetPath, followsLinks: Bool) throws -> CopyItem? {
        try session.statusIfAny(of: place).map(Self.item)
    }

    private static func item(_ entry: FileEntry) -> CopyItem {
        CopyItem(
            kind: entry.isDirectory ? .directory : .file,
            mode: entry.mode & ~ModeBits.directory, size: entry.isDirectory ? 0 : entry.size,
            allocatedBytes: entry.size, modified: Int64(entry.modified), owner: entry.owner,
            group: entry.group)
    }

    func children(
        of place: TargetPath, followsLinks: Bool
    ) throws -> [(name: [UInt8], item: CopyItem)] {
        var children = try session.entries(of: place).map { entry in
            // An image is foreign: a name that leads elsewhere on this machine is not copied.
            guard Self.isSafe(entry.name) else {
                throw CommandFailure(
                    place.appending(entry.name).shown, "holds a name that no file may have",
                    next: "run gefs check on the image", status: .corrupt)
            }
            return (name: entry.name, item: Self.item(entry))
        }
        children.sort { $0.name.lexicographicallyPrecedes($1.name) }
        return children
    }

    private static func isSafe(_ name: [UInt8]) -> Bool {
        !name.isEmpty && !name.contains(UInt8(ascii: "/")) && !name.contains(0)
            && name != Array(".".utf8) && name != Array("..".utf8)
    }

    func readContents(
        of place: TargetPath, _ body: (UInt64, UnsafeRawBufferPointer) throws -> Void
    ) throws {
        try session.readContents(of: place, body)
    }

    func makeDirectory(at place: TargetPath, _ item: CopyItem) throws {
        try session.makeDirectory(
            place, mode: item.mode & ModeBits.permissions | 0o700 | ModeBits.directory)
    }

    func makeFile(at place: TargetPath, _ item: CopyItem) throws -> any CopySink {
        ImageSink(session, place, try session.createFile(at: place))
    }

    func finishDirectory(at place: TargetPath, _ item: CopyItem) throws {
        let mode = item.mode | ModeBits.directory
        try session.change(
            place,
            FileChange(
                mode: mode, modified: UInt32(clamping: item.modified),
                owner: session.copiesWithin ? item.owner : nil,
                group: session.copiesWithin ? item.group : nil))
    }

    func freeBytes(near place: TargetPath) throws -> UInt64? {
        try session.freeBytes()
    }

    var keepsPosix: Bool { session.keepsPosix }

    func identity(of place: TargetPath) throws -> CopyIdentity? {
        guard session.keepsPosix else { return nil }
        return try session.linkedNumber(of: place).map { CopyIdentity(device: 0, number: $0) }
    }

    func makeLink(at place: TargetPath, to existing: TargetPath) throws -> Bool {
        guard session.keepsPosix, place.branchName == existing.branchName else { return false }
        if try session.statusIfAny(of: place) != nil { try session.remove(place) }
        try session.makeLink(place, to: existing)
        return true
    }

    func attributes(of place: TargetPath) throws -> [CopyAttribute] {
        guard session.keepsPosix else { return [] }
        let all = try session.attributes(of: place)
        return session.copiesWithin ? all : all.filter { CopiedAttributes.isCopied($0.name) }
    }

    func setAttribute(_ attribute: CopyAttribute, of place: TargetPath) throws -> Bool {
        guard session.keepsPosix else { return false }
        try session.setAttribute(attribute, of: place)
        return true
    }
}

/// A file of the image that is being written.
private final class ImageSink: CopySink {
    private let session: ImageSession
    private let target: TargetPath
    private let file: SessionFile
    private var end: UInt64 = 0

    init(_ session: ImageSession, _ target: TargetPath, _ file: SessionFile) {
        self.session = session
        self.target = target
        self.file = file
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws {
        try file.write(bytes, at: offset)
        end = max(end, offset + UInt64(bytes.count))
    }

    func finish(_ item: CopyItem) throws {
        var change = FileChange(mode: item.mode, modified: UInt32(clamping: item.modified))
        if item.size > end { change.size = item.size }
        if session.copiesWithin {
            change.owner = item.owner
            change.group = item.group
        }
        try file.change(change)
        file.close()
    }

    func abandon() {
        file.close()
    }
}
