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
        guard name.count <= Geometry.nameBytesMax else { return nil }
        let key = Key.entry(parent: parent, name: name)
        let value: [UInt8]?
        do throws(ReadError) {
            value = try key.withBytes { (key) throws(ReadError) -> [UInt8]? in
                try Tree.lookup(key, in: root, source: source, mayBlock: true)
            }
        } catch {
            throw FileError(error)
        }
        guard let value else { return nil }
        do throws(RecordError) {
            return try value.withBytes { (bytes) throws(RecordError) -> DirectoryEntry in
                try DirectoryEntry(decoding: bytes)
            }
        } catch {
            throw .badRecord(error, root: root.pointer.address)
        }
    }
}
