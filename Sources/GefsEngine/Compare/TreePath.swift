import GefsFormat

/// Walking paths in a tree on disk. A namespace.
enum TreePath {
    /// The entry at a path, without looking at permissions; nil where there is none.
    static func entry<Source: NodeSource>(
        at path: [[UInt8]], in root: TreeRoot, source: Source
    ) throws(FileError) -> DirectoryEntry? {
        var entry = try child([], of: .max, in: root, source: source)
        for name in path {
            guard let directory = entry, directory.isDirectory else { return nil }
            entry = try child(name, of: directory.qidPath, in: root, source: source)
        }
        return entry
    }

    /// The entry `name` of the directory `parent`; nil where there is none.
    static func child<Source: NodeSource>(
        _ name: [UInt8], of parent: UInt64, in root: TreeRoot, source: Source
    ) throws(FileError) -> DirectoryEntry? {
        guard name.count <= Geometry.posixNameBytesMax else { return nil }
        let key = Key.entry(parent: parent, name: name)
        guard let value = try value(key, in: root, source: source) else { return nil }
        return try value.withBytes { (value) throws(FileError) -> DirectoryEntry in
            try entry(ofName: value, in: root, source: source)
        }
    }

    /// The entry of the file that a name stands for, by the name's value. Source: Docs/FORMAT.md
    /// 12.3.
    static func entry<Source: NodeSource>(
        ofName value: UnsafeRawBufferPointer, in root: TreeRoot, source: Source
    ) throws(FileError) -> DirectoryEntry {
        guard let link = LinkRecord(value) else { return try decode(value, in: root) }
        guard let entry = try inode(link.qidPath, in: root, source: source) else {
            throw .badRecord(.danglingLink(qid: link.qidPath), root: root.pointer.address)
        }
        return entry
    }

    /// The entry of a file that has several names; nil where there is none of that number.
    static func inode<Source: NodeSource>(
        _ qid: UInt64, in root: TreeRoot, source: Source
    ) throws(FileError) -> DirectoryEntry? {
        guard let value = try value(Key.inode(qid), in: root, source: source) else { return nil }
        return try value.withBytes { (value) throws(FileError) -> DirectoryEntry in
            try decode(value, in: root)
        }
    }

    /// The names of a file that has several, in key order: by directory.
    static func names<Source: NodeSource>(
        of qid: UInt64, in root: TreeRoot, source: Source
    ) throws(FileError) -> [FileName.Place] {
        var names: [FileName.Place] = []
        var scan = Key.linkPrefix(qid).bytes.withUnsafeBytes {
            Tree.Scan(root: root, source: source, prefix: $0, mayBlock: true)
        }
        do throws(ReadError) {
            while let item = try scan.next() {
                guard case .link(_, let parent, let name)? = try? DecodedKey(item.key) else {
                    continue
                }
                names.append(FileName.Place(parent: parent, name: name))
            }
        } catch {
            throw FileError(error)
        }
        return names
    }

    static func decode(
        _ value: UnsafeRawBufferPointer, in root: TreeRoot
    ) throws(FileError) -> DirectoryEntry {
        do throws(RecordError) {
            return try DirectoryEntry(decoding: value)
        } catch {
            throw .badRecord(error, root: root.pointer.address)
        }
    }

    private static func value<Source: NodeSource>(
        _ key: Key, in root: TreeRoot, source: Source
    ) throws(FileError) -> [UInt8]? {
        do throws(ReadError) {
            return try key.withBytes { (key) throws(ReadError) -> [UInt8]? in
                try Tree.lookup(key, in: root, source: source, mayBlock: true)
            }
        } catch {
            throw FileError(error)
        }
    }
}
