import GefsControl
import GefsEngine

/// What 9P tells of a file.
struct FileEntry {
    var name: [UInt8]
    var mode: UInt32
    var qid: Qid
    var size: UInt64
    /// Seconds since 1970.
    var accessed: UInt32
    /// Seconds since 1970.
    var modified: UInt32
    var owner: [UInt8]
    var group: [UInt8]
    var lastModifier: [UInt8]

    var isDirectory: Bool { mode & ModeBits.directory != 0 }
}

/// A file as `ls`, `stat` and `find` print it in JSON.
struct FileReport: Report {
    static var type: String { "file" }

    struct Identity: Codable, Sendable {
        var path: UInt64
        var version: UInt32
        var type: UInt8
    }

    var branch: String
    /// From the root of the branch, with a slash in front.
    var path: String
    var name: String
    /// The path in hexadecimal where it is no UTF-8, and `path` cannot say it.
    var pathBytes: String?
    /// `directory` or `file`.
    var kind: String
    /// Permission bits, four octal digits.
    var mode: String
    var appendOnly: Bool
    var exclusive: Bool
    var temporary: Bool
    var size: UInt64
    var accessed: String
    var modified: String
    var owner: String
    var group: String
    var modifiedBy: String
    var qid: Identity

    init(_ entry: FileEntry, at target: TargetPath) {
        let pathBytes = target.pathBytes
        branch = String(decoding: target.branchName, as: UTF8.self)
        path = String(decoding: pathBytes, as: UTF8.self)
        name = String(decoding: target.name ?? entry.name, as: UTF8.self)
        self.pathBytes =
            ByteText.isText(pathBytes) ? nil : ByteText.hexadecimal(pathBytes)
        kind = entry.isDirectory ? "directory" : "file"
        mode = ModeText.octal(entry.mode)
        appendOnly = entry.mode & ModeBits.appendOnly != 0
        exclusive = entry.mode & ModeBits.exclusive != 0
        temporary = entry.mode & ModeBits.temporary != 0
        size = entry.size
        accessed = Timestamp.text(seconds: Int64(entry.accessed))
        modified = Timestamp.text(seconds: Int64(entry.modified))
        owner = String(decoding: entry.owner, as: UTF8.self)
        group = String(decoding: entry.group, as: UTF8.self)
        modifiedBy = String(decoding: entry.lastModifier, as: UTF8.self)
        qid = Identity(path: entry.qid.path, version: entry.qid.version, type: entry.qid.type)
    }
}
