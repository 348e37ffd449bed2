import GefsControl
import GefsEngine

/// A range of bytes in a report.
struct ByteRangeReport: Codable {
    var start: UInt64
    /// The first byte behind it.
    var end: UInt64

    init(_ range: Range<UInt64>) {
        start = range.lowerBound
        end = range.upperBound
    }
}

/// What `rescue --json` says of the scan.
struct RescueScanLine: Report {
    static var type: String { "rescueScan" }
    var image: String
    var deviceBytes: UInt64
    var bytesRead: UInt64
    var unreadable: [ByteRangeReport]
    /// The byte of the image where the volume begins; below zero where its front is gone.
    var offset: Int64
    var superblocks: Int
    var nodes: Int
    var believedNodes: Int
    var unverifiedLeaves: Int

    init(_ image: String, _ report: RescueScanReport) {
        self.image = image
        deviceBytes = report.deviceBytes
        bytesRead = report.bytesRead
        unreadable = report.unreadable.map { ByteRangeReport($0) }
        offset = report.offset
        superblocks = report.superblocks
        nodes = report.nodes
        believedNodes = report.believedNodes
        unverifiedLeaves = report.unverifiedLeaves
    }
}

/// What `rescue --list --json` says of a tree.
struct RescuableTreeLine: Report {
    static var type: String { "rescuable" }
    var label: String
    var generation: UInt64?
    var mutable: Bool
    /// `superblock`, `snapshotTree` or `scan`.
    var origin: String
    var hasRoot: Bool
    var olderStates: Int

    init(_ tree: RescuableTree) {
        label = ByteText.shown(tree.name)
        generation = tree.generation
        mutable = tree.isMutable
        origin = tree.origin.rawValue
        hasRoot = tree.hasRoot
        olderStates = tree.olderLayers
    }
}

/// What `rescue --json` says of a tree that was copied.
struct RescuedTreeLine: Report {
    static var type: String { "rescued" }
    var label: String
    /// The folder in OUT.
    var folder: String
    var whole: Bool
    var files: Int
    var directories: Int
    var wholeFiles: Int
    var partialFiles: Int
    var failedFiles: Int
    var olderFiles: Int
    var unverifiedFiles: Int
    var lostFiles: Int
    var renamedFiles: Int
    var olderNames: Int
    var bytes: UInt64
    var missingBytes: UInt64
    var unknownNameRanges: Int

    init(_ report: RescuedTreeReport, folder: String) {
        label = ByteText.shown(report.name)
        self.folder = folder
        whole = report.isWhole
        files = report.files
        directories = report.directories
        wholeFiles = report.wholeFiles
        partialFiles = report.partialFiles
        failedFiles = report.failedFiles
        olderFiles = report.olderFiles
        unverifiedFiles = report.unverifiedFiles
        lostFiles = report.lostFiles
        renamedFiles = report.renamedFiles
        olderNames = report.olderNames
        bytes = report.bytes
        missingBytes = report.missingBytes
        unknownNameRanges = report.unknownNameRanges
    }
}

/// A file in `RESCUE.json`.
struct RescuedFileLine: Report {
    static var type: String { "rescuedFile" }
    /// Where it is in OUT.
    var path: String
    /// The path's bytes in hexadecimal, where it is no UTF-8.
    var pathBytes: String?
    var originalName: String?
    var kind: String
    var qid: UInt64
    /// `whole`, `partial` or `failed`.
    var state: String
    /// `tree`, `older`, `unverified` or `nameless`.
    var origin: String
    var size: UInt64
    var mode: String
    /// Nanoseconds since 1970.
    var modifiedNanoseconds: Int64
    var owner: String
    var group: String
    var modifier: String
    var missing: [ByteRangeReport]
    var missingBytes: UInt64
    var problem: String?

    init(_ file: RescuedFile, folder: [UInt8], users: UserTable?) {
        let bytes = Array(([folder] + file.path).joined(separator: [UInt8(ascii: "/")]))
        path = ByteText.shown(bytes)
        if !ByteText.isText(bytes) { pathBytes = ByteText.hexadecimal(bytes) }
        originalName = file.originalName.map { ByteText.shown($0) }
        kind = file.isDirectory ? "directory" : "file"
        qid = file.qid
        state = file.state.rawValue
        origin = file.origin.rawValue
        size = file.length
        mode = ModeText.octal(file.mode)
        modifiedNanoseconds = file.modified
        func name(_ id: Int32) -> String {
            users?.name(of: UserID(rawValue: id)).map { ByteText.shown($0) } ?? String(id)
        }
        owner = name(file.uid)
        group = name(file.gid)
        modifier = name(file.muid)
        missing = file.missing.map { ByteRangeReport($0) }
        missingBytes = file.missingBytes
        problem = file.problem
    }
}
