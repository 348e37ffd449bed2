import GefsFormat

/// What is to become of one file of a branch.
struct FileChange: Sendable {
    /// The file as the branch held it when the change was worked out; nil where it is to come.
    var old: PlacedFile?
    /// The file as it is to be; nil where it is to go.
    var new: PlacedFile?
    /// Where its contents come from; nil where they stay.
    var contents: FileContents?
    /// Where its extended attributes come from; nil where they stay.
    var attributes: FileContents?
    /// Names from the root to the file: the new ones, or the old ones of a file that goes.
    var path: [[UInt8]]
    /// Names that a file with several gets, and loses, as paths from the root.
    var names = NameChanges()

    struct NameChanges: Sendable {
        var added: [[[UInt8]]] = []
        var removed: [[[UInt8]]] = []
    }
}

/// The contents of a file of another tree, or of an earlier state of the same one.
struct FileContents: Sendable {
    var files: TreeFiles
    var qid: UInt64
}

extension FileChange {
    /// A block of data that the branch has to get, or to lose.
    enum Block {
        case copied(index: UInt64, from: BlockPointer)
        case cleared(index: UInt64)
    }

    /// Whether a file that stays gets other contents.
    var replacesContents: Bool {
        guard let old, let new, let contents else { return false }
        return old.qid == new.qid && contents.qid == new.qid
    }

    /// Whether the file is as it is to be already, but for its version and who changed it last.
    var isWithoutEffect: Bool {
        guard let old, let new, contents == nil, attributes == nil, old.isAtSamePlace(as: new),
            old.qid == new.qid
        else { return false }
        return old.entry.hasSameAttributes(as: new.entry)
            && old.entry.modificationTime == new.entry.modificationTime
    }

    /// Directories in which an entry comes, goes or is renamed.
    var touchedDirectories: [UInt64] {
        (old?.places ?? []).symmetricDifference(new?.places ?? []).map(\.parent)
    }

    /// Whose extended attributes the file gets; nil where it keeps those that it has. A file that
    /// gets another number takes its own along.
    func attributeSource(in target: TreeFiles) -> FileContents? {
        guard let new else { return nil }
        if let attributes { return attributes }
        guard let old, old.qid != new.qid, !old.isDirectory, !new.isDirectory else { return nil }
        return FileContents(files: target, qid: old.qid)
    }

    /// Blocks of the new contents.
    private var end: UInt64 {
        Geometry.blockCount(coveringBytes: new?.length ?? 0)
    }

    /// All data blocks of the branch's file from here on make way, before new ones come.
    ///
    /// What lies at the old end and beyond is never relied on where the file grows: another's
    /// writes may clear it meanwhile, without a sign in the directory entry.
    var cutFrom: UInt64 {
        guard let old, let new, replacesContents else { return 0 }
        return new.length > old.length ? old.length / UInt64(Geometry.blockBytes) : end
    }

    /// Passes, by index, the blocks in which the branch's file differs from what it is to be.
    ///
    /// A block that has the same hash in both trees is there already, and passed over.
    /// - Parameter target: the branch's tree as of when the change was worked out.
    func forEachBlock(
        in target: TreeFiles, _ body: (Block) throws(FileError) -> Void
    ) throws(FileError) {
        guard let new, let contents, !new.isDirectory else { return }
        let cut = cutFrom
        if replacesContents, cut > 0 {
            try target.delta(from: contents.files).forEach(
                from: Key.data(new.qid, block: 0).bytes,
                before: Key.data(new.qid, block: cut).bytes
            ) { (item) throws(FileError) -> Bool in
                guard case .data(_, let offset)? = try? DecodedKey(item.key) else { return true }
                let index = offset / UInt64(Geometry.blockBytes)
                if let pointer = item.old.flatMap(BlockPointer.init(value:)) {
                    let present = item.new.flatMap(BlockPointer.init(value:))
                    let isThere = try target.volume.isSameEnd(
                        pointer, present, index: index, length: new.length)
                    if !isThere { try body(.copied(index: index, from: pointer)) }
                } else {
                    try body(.cleared(index: index))
                }
                return true
            }
        }
        guard cut < end else { return }
        try contents.forEachBlock(cut..<end) { (index, pointer) throws(FileError) -> Void in
            try body(.copied(index: index, from: pointer))
        }
    }
}

extension FileContents {
    /// Passes the blocks that are no holes.
    func forEachBlock(
        _ range: Range<UInt64>, _ body: (UInt64, BlockPointer) throws(FileError) -> Void
    ) throws(FileError) {
        try files.forEachPair(
            from: Key.data(qid, block: range.lowerBound).bytes,
            before: Key.data(qid, block: range.upperBound).bytes
        ) { (key, value) throws(FileError) -> Void in
            guard case .data(_, let offset)? = try? DecodedKey(key),
                let pointer = BlockPointer(value: value)
            else { return }
            try body(offset / UInt64(Geometry.blockBytes), pointer)
        }
    }
}

extension BlockPointer {
    /// The value of a data key; nil where it is none.
    init?(value: UnsafeRawBufferPointer) {
        guard value.count >= Self.byteCount, let base = value.baseAddress else { return nil }
        self.init(decoding: base)
        if isNone { return nil }
    }
}

extension Volume {
    /// Whether two blocks are the last one of a file of that length, and differ beyond its end only.
    ///
    /// Disks of the original hold old bytes there (FORMAT 7.2).
    func isSameEnd(
        _ left: BlockPointer, _ right: BlockPointer?, index: UInt64, length: UInt64
    ) throws(FileError) -> Bool {
        let rest = Int(length % UInt64(Geometry.blockBytes))
        guard let right, rest > 0, index == length / UInt64(Geometry.blockBytes) else {
            return false
        }
        let blocks = try readData([left, right], mayBlock: true)
        return blocks[0].bytes[..<rest].elementsEqual(blocks[1].bytes[..<rest])
    }
}
