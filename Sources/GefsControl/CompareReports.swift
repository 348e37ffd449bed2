import GefsEngine
import GefsFormat

/// A file as it is in one of two trees.
public struct FileStateReport: Codable, Sendable {
    /// Bytes; 0 for a directory.
    public var size: UInt64
    /// Permission bits, four octal digits.
    public var mode: String
    public var owner: String
    public var group: String
    public var modifiedBy: String
    public var modified: String
    /// Goes up with every change.
    public var version: UInt32

    init(_ entry: DirectoryEntry, _ users: UserTable) {
        func name(_ id: Int32) -> String {
            users.name(of: UserID(rawValue: id)).map { String(decoding: $0, as: UTF8.self) }
                ?? "\(id)"
        }
        size = entry.isDirectory ? 0 : UInt64(max(0, entry.length))
        let digits = String(entry.mode & ModeBits.permissions, radix: 8)
        mode = String(repeating: "0", count: 4 - digits.count) + digits
        owner = name(entry.uid)
        group = name(entry.gid)
        modifiedBy = name(entry.muid)
        modified = Timestamp.text(nanoseconds: entry.modificationTime)
        version = entry.qidVersion
    }
}

/// Text of names, which need not be UTF-8.
enum NameText {
    /// The bytes in hexadecimal, where text cannot say them.
    static func hexadecimal(_ bytes: [UInt8]) -> String? {
        guard Array(String(decoding: bytes, as: UTF8.self).utf8) != bytes else { return nil }
        return bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    /// The bytes that hexadecimal digits say; nil where they are none.
    static func bytes(hexadecimal text: String) -> [UInt8]? {
        let digits = Array(text.utf8)
        guard digits.count.isMultiple(of: 2) else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            let pair = String(decoding: digits[index..<index + 2], as: UTF8.self)
            guard let byte = UInt8(pair, radix: 16), pair.first != "+" else { return nil }
            bytes.append(byte)
        }
        return bytes
    }
}

/// A file that two trees do not have alike.
public struct ChangeReport: Report {
    public static var type: String { "change" }

    /// `added`, `removed`, `changed` or `renamed`.
    public var change: String
    public var path: String
    /// The path in hexadecimal where it is no UTF-8.
    public var pathBytes: String?
    /// Where a renamed file was.
    public var oldPath: String?
    public var oldPathBytes: String?
    /// `directory` or `file`.
    public var kind: String
    public var qid: UInt64
    /// What differs: `contents`, `size`, `mode`, `owner`, `group`, `modified`,
    /// `attributes`: extended ones.
    public var aspects: [String]
    /// Blocks of contents that are not the same, each 16 KiB.
    public var blocks: UInt64
    public var old: FileStateReport?
    public var new: FileStateReport?

    init(_ change: PathChange, _ users: UserTable) {
        self.change = change.kind.rawValue
        path = String(decoding: change.path, as: UTF8.self)
        pathBytes = NameText.hexadecimal(change.path)
        oldPath = change.oldPath.map { String(decoding: $0, as: UTF8.self) }
        oldPathBytes = change.oldPath.flatMap { NameText.hexadecimal($0) }
        kind = change.isDirectory ? "directory" : "file"
        qid = change.entry?.qidPath ?? 0
        aspects = Self.names.filter { change.aspects.contains($0.0) }.map(\.1)
        blocks = change.blockCount
        old = change.old.map { FileStateReport($0, users) }
        new = change.new.map { FileStateReport($0, users) }
    }

    private static let names: [(PathChange.Aspects, String)] = [
        (.contents, "contents"), (.size, "size"), (.mode, "mode"), (.owner, "owner"),
        (.group, "group"), (.modificationTime, "modified"),
        (.attributes, "attributes"),
    ]

    /// `A /new`, `D /old/`, `M /file`, `R /from -> /to`, and `RM` for what was renamed and changed.
    func line(isVerbose: Bool) -> String {
        let slash = kind == "directory" && path != "/" ? "/" : ""
        var text: String
        switch change {
        case "added": text = "A \(path)\(slash)"
        case "removed": text = "D \(path)\(slash)"
        case "renamed":
            text =
                "R\(aspects.isEmpty ? "" : "M") \(oldPath ?? "")\(slash) -> \(path)\(slash)"
        default: text = "M \(path)\(slash)"
        }
        if isVerbose, !aspects.isEmpty { text += "  (\(details.joined(separator: ", ")))" }
        return text
    }

    private var details: [String] {
        guard let old, let new else { return [] }
        return aspects.compactMap { aspect in
            switch aspect {
            case "contents": "\(blocks) block\(blocks == 1 ? "" : "s")"
            case "size": "\(old.size) to \(new.size) bytes"
            case "mode": "mode \(old.mode) to \(new.mode)"
            case "owner": "owner \(old.owner) to \(new.owner)"
            case "group": "group \(old.group) to \(new.group)"
            case "attributes": "extended attributes"
            default: "modified \(new.modified)"
            }
        }
    }
}

/// What a comparison came to.
public struct ComparisonReport: Report {
    public static var type: String { "comparison" }

    /// The labels that were compared.
    public var old: String
    public var new: String
    public var added: Int
    public var removed: Int
    public var changed: Int
    public var renamed: Int
    /// Bytes of the files that were added.
    public var addedBytes: UInt64
    /// Bytes of the files that were removed.
    public var removedBytes: UInt64
    /// Bytes of the blocks that are not the same, in files that both have.
    public var changedBytes: UInt64
    /// Blocks read from the device to find that out.
    public var blocksRead: Int

    init(_ old: [UInt8], _ new: [UInt8], _ totals: ComparisonTotals) {
        self.old = String(decoding: old, as: UTF8.self)
        self.new = String(decoding: new, as: UTF8.self)
        added = totals.added
        removed = totals.removed
        changed = totals.changed
        renamed = totals.renamed
        addedBytes = totals.addedBytes
        removedBytes = totals.removedBytes
        changedBytes = totals.changedBytes
        blocksRead = totals.blocksRead
    }

    func lines(_ size: (UInt64) -> String) -> [String] {
        var table = TextTable([.left, .right, .left])
        table.append(["added", "\(added)", size(addedBytes)])
        table.append(["removed", "\(removed)", size(removedBytes)])
        table.append(["changed", "\(changed)", size(changedBytes)])
        table.append(["renamed", "\(renamed)"])
        return table.lines() + ["read \(blocksRead) blocks to compare \(old) with \(new)"]
    }
}

/// What a path was in a stretch of a branch's states.
public struct FileVersionReport: Report {
    public static var type: String { "fileVersion" }

    /// A label that shows the version.
    public struct Label: Codable, Sendable {
        public var name: String
        /// When the label was made, where that is known; none for a branch, which follows writes.
        public var time: String?

        init(_ label: LabelInfo) {
            name = String(decoding: label.name, as: UTF8.self)
            time = label.isMutable ? nil : label.time.map { Timestamp.text(nanoseconds: $0) }
        }
    }

    /// False for a time in which there was no such file.
    public var present: Bool
    public var newest: Label
    public var oldest: Label
    /// Labels from the newest to the oldest, both included.
    public var labels: Int
    /// `directory` or `file`.
    public var kind: String?
    public var qid: UInt64?
    public var file: FileStateReport?

    init(_ version: FileVersion, _ users: UserTable) {
        present = version.entry != nil
        newest = Label(version.newest)
        oldest = Label(version.oldest)
        labels = version.labelCount
        kind = version.entry.map { $0.isDirectory ? "directory" : "file" }
        qid = version.entry?.qidPath
        file = version.entry.map { FileStateReport($0, users) }
    }

    /// One line: time, size, mode, who changed it, and the labels that show it.
    func line(_ size: (UInt64) -> String) -> String {
        func pad(_ text: String, _ width: Int, left: Bool = false) -> String {
            let padding = String(repeating: " ", count: max(0, width - text.count))
            return left ? padding + text : text + padding
        }
        let whole = file.map { String($0.modified.prefix(19)) + "Z" } ?? "removed"
        let amount = file.map { kind == "directory" ? "-" : size($0.size) } ?? ""
        let columns = [
            pad(whole, 20), pad(amount, 10, left: true), pad(file?.mode ?? "", 4),
            pad(file?.modifiedBy ?? "", 10),
        ]
        let more = labels > 2 ? " (\(labels) labels)" : ""
        let range = newest.name == oldest.name ? newest.name : "\(newest.name) .. \(oldest.name)"
        return "\(columns.joined(separator: "  "))  \(range)\(more)"
    }
}

/// What it took to find the versions of a file.
public struct FileHistoryReport: Report {
    public static var type: String { "fileHistory" }
    public var branch: String
    public var path: String
    public var versions: Int
    /// States of the branch that were looked into.
    public var lookups: Int
    /// Blocks read from the device.
    public var blocksRead: Int

    var line: String {
        "\(versions) versions, found with \(lookups) lookups and \(blocksRead) blocks read"
    }
}
