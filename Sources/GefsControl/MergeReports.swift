import GefsEngine

/// A file that came, changed or went because files were brought in from another tree.
public struct TransplantItemReport: Report {
    public static var type: String { "transplant" }

    /// `added`, `changed`, `attributes`, `renamed` or `removed`.
    public var effect: String
    /// From the root of the branch, with a slash in front.
    public var path: String
    /// The path in hexadecimal where it is no UTF-8.
    public var pathBytes: String?
    /// `directory` or `file`.
    public var kind: String
    /// Bytes of the blocks that are copied for it.
    public var copiedBytes: UInt64

    init(_ item: TransplantReport.Item) {
        let bytes = PathText.bytes(item.path)
        effect = item.effect.rawValue
        path = String(decoding: bytes, as: UTF8.self)
        pathBytes = NameText.hexadecimal(bytes)
        kind = item.isDirectory ? "directory" : "file"
        copiedBytes = item.copiedBytes
    }

    /// `A /new`, `M /changed`, `P /attributes`, `R /renamed`, `D /removed`.
    var line: String {
        let letter =
            switch effect {
            case "added": "A"
            case "changed": "M"
            case "attributes": "P"
            case "renamed": "R"
            default: "D"
            }
        return "\(letter) \(path)\(kind == "directory" && path != "/" ? "/" : "")"
    }
}

/// What an undo came to.
public struct RestoreReport: Report {
    public static var type: String { "restore" }

    /// The branch that was changed.
    public var branch: String
    /// The label that the paths came from.
    public var from: String
    /// Whether nothing was changed, and this is what would be.
    public var dryRun: Bool
    /// Files and directories that were changed.
    public var entries: Int
    public var removed: Int
    /// Files that blocks were copied for, and the blocks' bytes.
    public var copiedFiles: Int
    public var copiedBytes: UInt64

    init(_ branch: String, from: [UInt8], isDryRun: Bool, _ report: TransplantReport) {
        self.branch = branch
        self.from = String(decoding: from, as: UTF8.self)
        dryRun = isDryRun
        entries = report.items.count
        removed = report.items.count { $0.effect == .removed }
        copiedFiles = report.copiedFiles
        copiedBytes = report.copiedBytes
    }

    func line(_ size: (UInt64) -> String) -> String {
        if entries == 0 { return "nothing to do: \(branch) is as \(from) there" }
        let verb = dryRun ? "would bring back" : "brought back"
        let gone = removed > 0 ? ", removed \(removed)" : ""
        return "\(verb) \(counted(entries - removed, "entry", "entries")) from \(from)\(gone); "
            + copied(copiedFiles, copiedBytes, size)
    }
}

/// What two branches have changed in ways that do not go together.
public struct ConflictReport: Report {
    public static var type: String { "conflict" }

    /// `contents`, `attributes`, `renamed`, `removedByFork`, `removedByBranch`, `nameTaken`,
    /// `directoryRemoved` or `cycle`.
    public var conflict: String
    /// In the fork or, where it is not there, in the branch.
    public var path: String
    public var pathBytes: String?
    /// Path of the other file, or the other path of the file, in the branch.
    public var otherPath: String?
    public var otherPathBytes: String?
    public var qid: UInt64
    /// `directory` or `file`.
    public var kind: String

    init(_ conflict: MergeConflict) {
        let bytes = PathText.bytes(conflict.path)
        let other = conflict.otherPath.map { PathText.bytes($0) }
        self.conflict = conflict.kind.rawValue
        path = String(decoding: bytes, as: UTF8.self)
        pathBytes = NameText.hexadecimal(bytes)
        otherPath = other.map { String(decoding: $0, as: UTF8.self) }
        otherPathBytes = other.flatMap { NameText.hexadecimal($0) }
        qid = conflict.qid
        kind = conflict.isDirectory ? "directory" : "file"
    }

    var line: String {
        let other = otherPath ?? path
        let why =
            switch MergeConflict.Kind(rawValue: conflict) {
            case .contents: "both changed the contents"
            case .attributes: "both changed mode, owner or group"
            case .renamed: "both renamed it; the branch to \(other)"
            case .removedByFork: "the fork removed it, the branch changed it"
            case .removedByBranch: "the branch removed it, the fork changed it"
            case .nameTaken: "both have a file of that name"
            case .directoryRemoved: "its directory was removed by the other one"
            case .cycle: "directories were moved into one another"
            case nil: conflict
            }
        return "C \(path)\(kind == "directory" ? "/" : "")  (\(why))"
    }
}

/// What a merge came to.
public struct MergeResultReport: Report {
    public static var type: String { "merge" }

    public var fork: String
    public var branch: String
    /// Generation of the snapshot that both come from.
    public var ancestor: UInt64
    /// Whether nothing was changed, and this is what would be.
    public var dryRun: Bool
    /// Where there are any, nothing was changed.
    public var conflicts: Int
    /// Files and directories that were changed.
    public var entries: Int
    public var removed: Int
    /// Files that blocks were copied for, and the blocks' bytes.
    public var copiedFiles: Int
    public var copiedBytes: UInt64

    init(_ fork: String, _ branch: String, isDryRun: Bool, _ report: MergeReport) {
        self.fork = fork
        self.branch = branch
        ancestor = report.ancestor
        dryRun = isDryRun
        conflicts = report.conflicts.count
        entries = report.changes.items.count
        removed = report.changes.items.count { $0.effect == .removed }
        copiedFiles = report.changes.copiedFiles
        copiedBytes = report.changes.copiedBytes
    }

    func line(_ size: (UInt64) -> String) -> String {
        if conflicts > 0 {
            return "\(counted(conflicts, "conflict", "conflicts")), nothing was changed: "
                + "--ours takes what \(branch) has there, --theirs what \(fork) has"
        }
        if entries == 0 { return "nothing to do: \(branch) has all that \(fork) changed" }
        let verb = dryRun ? "would merge" : "merged"
        return "\(verb) \(counted(entries, "change", "changes")) of \(fork) into \(branch); "
            + copied(copiedFiles, copiedBytes, size)
    }
}

/// Paths as text.
enum PathText {
    /// Names from the root as one path.
    static func bytes(_ names: [[UInt8]]) -> [UInt8] {
        if names.isEmpty { return [UInt8(ascii: "/")] }
        return names.flatMap { [UInt8(ascii: "/")] + $0 }
    }
}

private func counted(_ count: Int, _ one: String, _ many: String) -> String {
    "\(count) \(count == 1 ? one : many)"
}

private func copied(_ files: Int, _ bytes: UInt64, _ size: (UInt64) -> String) -> String {
    files == 0 ? "copied nothing" : "copied \(size(bytes)) of \(counted(files, "file", "files"))"
}
