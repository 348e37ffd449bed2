import GefsFormat

/// What can be wrong with the files of one tree, all messages applied.
public enum HierarchyFault: Hashable, Sendable {
    /// A message cannot be applied to what is below it.
    case message(Key, FoldError)
    /// An entry that cannot be decoded.
    case entry(Key, RecordError)
    /// Two entries have the same number.
    case duplicateQid(UInt64)
    /// A number that has not been handed out yet.
    case qidRange(qid: UInt64, name: Key, next: UInt64)
    /// The type byte of the qid is not the high byte of the mode.
    case qidType(name: Key, type: UInt8, mode: UInt32)
    /// A name that no file can have.
    case name(Key)
    /// The tree has no root entry, or several.
    case root(entryCount: Int)
    /// Entries are in a directory that is none.
    case noDirectory(qid: UInt64, entryCount: Int)
    /// The way up from a directory does not lead to its entry.
    case up(qid: UInt64, isMissing: Bool)
    /// There is a way up from something that is no directory.
    case strayUp(qid: UInt64)
    /// A directory cannot be reached from the root: it is within itself.
    case unreachable(qid: UInt64)
    /// A directory has data blocks.
    case directoryData(qid: UInt64, blockCount: Int)
    /// A data block at an offset that is no multiple of the block size.
    case dataOffset(qid: UInt64, offset: UInt64)
    /// Data of files that are gone. `isPending` when the tree records that they are being
    /// reclaimed.
    case orphanData(blockCount: Int, isPending: Bool)
    /// Data past the end of their file. `isPending` as above.
    case dataPastEnd(blockCount: Int, isPending: Bool)
    /// A length beyond what a signed number can say; dialect R makes such files, no other
    /// implementation can use them.
    case fileLength(Key, UInt64)
    /// What only a volume with the feature `posix` may have.
    case posix(Key)
    /// An inode key whose entry is another file's, or a directory's.
    case inode(qid: UInt64)
    /// The names of a file, what leads from it back to them, and what it says do not agree.
    case links(qid: UInt64, names: Int, back: Int, stated: Int)
    /// A directory states another number of links than it has directories in it, and 2.
    case directoryLinks(qid: UInt64, directories: Int, stated: Int)
    /// A name among several of a file that has no entry of its own.
    case strayLink(qid: UInt64)
    /// A file has extended attributes and does not say so, or says so and has none; or it is gone.
    case attributes(qid: UInt64, parts: Int)
}

extension HierarchyFault: Fault {
    var severity: Finding.Severity {
        switch self {
        case .orphanData(_, let isPending), .dataPastEnd(_, let isPending):
            isPending ? .note : .warning
        case .fileLength: .note
        default: .error
        }
    }

    var kind: String {
        switch self {
        case .message: "files.message"
        case .entry: "files.entry"
        case .duplicateQid: "files.duplicateQid"
        case .qidRange: "files.qidRange"
        case .qidType: "files.qidType"
        case .name: "files.name"
        case .root: "files.root"
        case .noDirectory: "files.noDirectory"
        case .up: "files.up"
        case .strayUp: "files.strayUp"
        case .unreachable: "files.unreachable"
        case .directoryData: "files.directoryData"
        case .dataOffset: "files.dataOffset"
        case .orphanData: "files.orphanData"
        case .dataPastEnd: "files.dataPastEnd"
        case .fileLength: "files.fileLength"
        case .posix: "files.posix"
        case .inode: "files.inode"
        case .links: "files.links"
        case .directoryLinks: "files.directoryLinks"
        case .strayLink: "files.strayLink"
        case .attributes: "files.attributes"
        }
    }

    /// What is wrong.
    public var description: String {
        switch self {
        case .message(let key, let error): "\(key.outline): \(error)"
        case .entry(let key, let error): "\(key.outline): \(error)"
        case .duplicateQid(let qid): "qid \(qid) has more than one entry"
        case .qidRange(let qid, let name, let next):
            "\(name.outline): qid \(qid) is not below the next one, \(next)"
        case .qidType(let name, let type, let mode):
            "\(name.outline): qid type \(hexadecimal(UInt64(type))), "
                + "mode \(hexadecimal(UInt64(mode)))"
        case .name(let key): "\(key.outline): not a file name"
        case .root(let count): "\(count) root entries, expected 1"
        case .noDirectory(let qid, let count):
            "\(count) entries are in \(qid), which is no directory"
        case .up(let qid, let isMissing):
            isMissing
                ? "directory \(qid) has no way up" : "directory \(qid): way up leads elsewhere"
        case .strayUp(let qid): "way up from \(qid), which is no directory"
        case .unreachable(let qid): "directory \(qid) cannot be reached from the root"
        case .directoryData(let qid, let count): "directory \(qid) has \(count) data blocks"
        case .dataOffset(let qid, let offset):
            "data of \(qid) at unaligned offset \(hexadecimal(offset))"
        case .orphanData(let count, let isPending):
            "\(count) data blocks of removed files (\(Self.cause(isPending)))"
        case .dataPastEnd(let count, let isPending):
            "\(count) data blocks past the end of their file (\(Self.cause(isPending)))"
        case .fileLength(let key, let length): "\(key.outline): length \(length)"
        case .posix(let key): "\(key.outline): has no place on a disk without the feature posix"
        case .inode(let qid): "inode \(qid) is the entry of another file, or of a directory"
        case .links(let qid, let names, let back, let stated):
            "file \(qid) has \(names) names, \(back) that it leads back to, and states \(stated)"
        case .directoryLinks(let qid, let directories, let stated):
            "directory \(qid) has \(directories) directories in it, and states \(stated) links"
        case .strayLink(let qid):
            "a name or a way back of file \(qid), which has no entry for several"
        case .attributes(let qid, let parts):
            "file \(qid) has \(parts) parts of extended attributes, which is not what its entry says"
        }
    }

    private static func cause(_ isPending: Bool) -> String {
        isPending ? "being reclaimed" : "interrupted or pending clear"
    }
}
