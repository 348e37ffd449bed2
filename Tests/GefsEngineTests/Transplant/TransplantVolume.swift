import GefsFormat
import Testing

@testable import GefsEngine

/// Words for what tests of restoring and merging do with a volume.
extension TestVolume {
    static let main = Array("main".utf8)

    func fork(_ name: String, of source: String = "main") throws {
        try label(.fork(of: Array(source.utf8), as: Array(name.utf8)))
    }

    func delete(_ name: String) throws {
        try fileSystem.change([.delete(Array(name.utf8))], as: caller)
    }

    static func elements(_ path: String) -> [[UInt8]] {
        path.split(separator: "/").map { Array($0.utf8) }
    }

    @discardableResult
    func restore(
        _ paths: String..., from label: String = "s", deletesNew: Bool = false,
        isDryRun: Bool = false
    ) throws -> TransplantReport {
        var options = RestoreOptions()
        options.deletesNew = deletesNew
        options.isDryRun = isDryRun
        return try fileSystem.restore(
            paths.map { Self.elements($0) }, from: Array(label.utf8), into: Self.main,
            options: options, as: Caller(user: .adm, isPermissive: true))
    }

    /// Bytes that differ from block to block.
    static func bytes(_ count: Int, salt: UInt64 = 1) -> [UInt8] {
        var generator = SeededGenerator(seed: salt)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count + 8)
        while bytes.count < count {
            withUnsafeBytes(of: generator.next()) { bytes.append(contentsOf: $0) }
        }
        bytes.removeLast(bytes.count - count)
        return bytes
    }

    /// Closes the volume; our checker finds it whole, and nothing leaked.
    func expectClean() throws {
        fileSystem.drainReclaims()
        try fileSystem.close()
        #expect(try VolumeCheck.leaks(self) == 0)
    }

    /// Data keys of files that have no entry, in a branch's tree as of the last commit.
    func strayQids() throws -> Set<UInt64> {
        let files = TreeFiles(fileSystem.volume, try fileSystem.pin(Self.main))
        var data: Set<UInt64> = []
        try files.forEachPair(from: [KeyKind.data.rawValue], before: [KeyKind.entry.rawValue]) {
            (key, _) throws(FileError) -> Void in
            if case .data(let qid, _)? = try? DecodedKey(key) { data.insert(qid) }
        }
        try files.forEachPair(from: [KeyKind.entry.rawValue], before: [KeyKind.up.rawValue]) {
            (_, value) throws(FileError) -> Void in
            if let entry = try? DirectoryEntry(decoding: value) { data.remove(entry.qidPath) }
        }
        return data
    }
}

/// A file's attributes as a restore has to bring them back.
struct FileTraits: Equatable {
    var mode: UInt32
    var owner: Int32
    var group: Int32
    var modified: Int64
    var length: UInt64

    init(_ status: FileStatus) {
        mode = status.mode
        owner = status.owner.rawValue
        group = status.group.rawValue
        modified = status.modificationTime
        length = status.length
    }
}
