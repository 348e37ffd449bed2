import GefsFormat

/// The files of a tree that does not change: of a snapshot, or of a branch as of its last commit.
struct TreeFiles: Sendable {
    let volume: Volume
    let root: TreeRoot
    /// Keeps the blocks of the tree from being freed.
    private let keeper: PinnedTree

    /// - Parameter root: of a tree that the pinned one keeps; nil for that one itself.
    init(_ volume: Volume, _ pinned: PinnedTree, root: TreeRoot? = nil) {
        self.volume = volume
        self.root = root ?? pinned.root
        keeper = pinned
    }

    /// A file by its directory and name; nil where there is none.
    func file(in parent: UInt64, named name: [UInt8]) throws(FileError) -> PlacedFile? {
        guard name.count <= Geometry.posixNameBytesMax else { return nil }
        let key = Key.entry(parent: parent, name: name)
        guard let bytes = try volume.lookup(key, in: root, mayBlock: true) else { return nil }
        return try bytes.withBytes { (value) throws(FileError) -> PlacedFile in
            try file(at: FileName.Place(parent: parent, name: name), value)
        }
    }

    /// The file that a name stands for, by the name's value.
    private func file(
        at place: FileName.Place, _ value: UnsafeRawBufferPointer
    ) throws(FileError) -> PlacedFile {
        let entry = try TreePath.entry(ofName: value, in: root, source: volume.reader)
        guard LinkRecord(value) != nil else {
            return PlacedFile(parent: place.parent, name: place.name, entry: entry)
        }
        return PlacedFile(
            at: place,
            names: try TreePath.names(of: entry.qidPath, in: root, source: volume.reader),
            entry: entry)
    }

    /// A file that has several names, by its qid; nil where the tree has none such.
    func linkedFile(_ qid: UInt64) throws(FileError) -> PlacedFile? {
        guard let entry = try TreePath.inode(qid, in: root, source: volume.reader) else {
            return nil
        }
        return PlacedFile(
            names: try TreePath.names(of: qid, in: root, source: volume.reader), entry: entry)
    }

    /// The extended attributes of a file as they are stored, part by part: the keys without the
    /// file's number, and the values. Source: Docs/FORMAT.md 12.4.
    func attributes(of qid: UInt64) throws(FileError) -> [(name: [UInt8], value: [UInt8])] {
        let prefix = Key.attributePrefix(qid).bytes
        var parts: [(name: [UInt8], value: [UInt8])] = []
        var scan = prefix.withUnsafeBytes {
            Tree.Scan(root: root, source: volume.reader, prefix: $0, mayBlock: true)
        }
        while let item = try next(&scan) {
            parts.append((Array(item.key.dropFirst(prefix.count)), Array(item.value)))
        }
        return parts
    }

    /// Whether a file has the same extended attributes as one of another tree.
    func hasSameAttributes(
        of qid: UInt64, as other: FileContents
    ) throws(FileError) -> Bool {
        guard other.qid == qid else {
            return try attributes(of: qid).elementsEqual(other.files.attributes(of: other.qid)) {
                $0.name == $1.name && $0.value == $1.value
            }
        }
        return try !TreeComparison(
            old: other.files.root, new: root, source: volume.reader
        ).hasDifferentAttributes(of: qid)
    }

    /// The root directory.
    func rootDirectory() throws(FileError) -> PlacedFile {
        guard let file = try file(in: .max, named: []) else {
            throw .missingRoot(root: root.pointer.address)
        }
        return file
    }

    /// A directory by its qid; nil where the tree has none of that qid.
    func directory(_ qid: UInt64) throws(FileError) -> PlacedFile? {
        guard let up = try volume.lookup(Key.up(qid), in: root, mayBlock: true),
            case .entry(let parent, let name)? = up.withUnsafeBytes({ try? DecodedKey($0) }),
            let file = try file(in: parent, named: name), file.qid == qid
        else { return nil }
        return file
    }

    /// The entries of a directory, in key order.
    func children(of directory: UInt64) throws(FileError) -> [PlacedFile] {
        let prefix = Key.entryPrefix(directory)
        var files: [PlacedFile] = []
        var scan = prefix.bytes.withUnsafeBytes {
            Tree.Scan(root: root, source: volume.reader, prefix: $0, mayBlock: true)
        }
        while let item = try next(&scan) {
            guard case .entry(_, let name)? = try? DecodedKey(item.key) else { continue }
            files.append(try file(at: FileName.Place(parent: directory, name: name), item.value))
        }
        return files
    }

    /// Elements of the path from the root to a directory; nil where it does not hang at the root.
    func path(to directory: UInt64) throws(FileError) -> [[UInt8]]? {
        var names: [[UInt8]] = []
        var qid = directory
        // A damaged tree may have a loop.
        var seen: Set<UInt64> = []
        while seen.insert(qid).inserted {
            guard let file = try self.directory(qid) else { return nil }
            if file.isRoot { return names.reversed() }
            names.append(file.name)
            qid = file.parent
        }
        return nil
    }

    /// What differs between another tree, the old one, and this.
    func delta(from old: TreeFiles) -> TreeDelta<BlockReader> {
        TreeDelta(old: old.root, new: root, source: volume.reader)
    }

    /// Passes the pairs from one key on and before another, in key order.
    func forEachPair(
        from start: [UInt8], before end: [UInt8],
        _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) throws(FileError) -> Void
    ) throws(FileError) {
        var scan = start.withUnsafeBytes { start in
            end.withUnsafeBytes { end in
                Tree.Scan(
                    root: root, source: volume.reader, from: start, before: end, mayBlock: true)
            }
        }
        while let item = try next(&scan) { try body(item.key, item.value) }
    }

    private func next(
        _ scan: inout Tree.Scan<BlockReader>
    ) throws(FileError) -> Tree.Scan<BlockReader>.Item? {
        do throws(ReadError) {
            return try scan.next()
        } catch {
            throw FileError(error)
        }
    }

    func decode(_ bytes: UnsafeRawBufferPointer) throws(FileError) -> DirectoryEntry {
        try TreePath.decode(bytes, in: root)
    }
}
