import GefsFormat

/// The directory of all labels, attached as `dump`. Source: SEMANTICS 8.4.
enum Dump {
    static let label: [UInt8] = Array("dump".utf8)
    /// Reserved by the format: values with bit 63 set belong to no file (FORMAT 7.2).
    static let qidPath: UInt64 = 1 << 63
    static let mode: UInt32 = ModeBits.directory | 0o555
    /// Labels that a listing looks up in one go.
    static let labelsAtOnce = 128

    /// How a label shows in the directory: a directory of adm, its generation as qid path.
    static func entry(of label: LabelInfo) -> DirectoryEntry {
        DirectoryEntry(
            qidPath: label.generation, qidVersion: 0, mode: mode, accessTime: 0,
            modificationTime: 0, length: 0, uid: UserID.adm.rawValue, gid: UserID.adm.rawValue,
            muid: UserID.adm.rawValue)
    }
}

/// A label of the volume.
public struct LabelInfo: Sendable, Hashable {
    public var name: [UInt8]
    /// The snapshot it names.
    public var generation: UInt64
    /// Whether the label follows writes.
    public var isMutable: Bool
    /// When it was made, in nanoseconds since 1970; nil where the disk does not say.
    public var time: Int64?
}

extension FileSystem {
    func walkDump(
        _ name: UnsafeRawBufferPointer, as caller: Caller
    ) throws(FileError) -> FileHandle {
        if name.count == 2, name[0] == UInt8(ascii: "."), name[1] == UInt8(ascii: ".") {
            return FileHandle(self, node: nil, parentProtection: nil)
        }
        let label = Array(name)
        guard label != Dump.label else { throw .notFound }
        do throws(FileError) {
            return try attach(label: label, as: caller)
        } catch .unknownLabel {
            throw .notFound
        }
    }

    func openDump(
        _ handle: FileHandle, _ mode: OpenMode, as caller: Caller
    ) throws(FileError) {
        guard !mode.allowsWriting, !mode.truncates, !mode.removesOnClose else {
            throw .permissionDenied
        }
        if handle.isOpen { throw .alreadyOpen }
        handle.lock.locked {
            handle.mode = mode
            handle.listing = DirectoryListing()
        }
    }

    func listDump(
        _ listing: inout DirectoryListing, _ encode: (borrowing DirectoryItem) -> Int?
    ) throws(FileError) -> Int {
        var total = 0
        while true {
            let labels = labels(after: listing.lastLabel, limit: Dump.labelsAtOnce)
            if labels.isEmpty { return total }
            for label in labels {
                let entry = Dump.entry(of: label)
                let used = label.name.withUnsafeBytes { name in
                    encode(DirectoryItem(entry: entry, name: name))
                }
                guard let used else {
                    if total == 0 { throw .recordDoesNotFit }
                    return total
                }
                total += used
                listing.lastLabel = label.name
            }
        }
    }
}

extension Dump {
    static let status = FileStatus(
        qid: Qid(path: qidPath, version: 0, type: 0x80), mode: mode, accessTime: 0,
        modificationTime: 0, length: 0, name: [UInt8(ascii: "/")], owner: .adm, group: .adm,
        lastModifier: .adm)
}
