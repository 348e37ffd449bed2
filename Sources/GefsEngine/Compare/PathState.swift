import GefsFormat

/// What a path was in one state of a branch.
struct PathState {
    /// A directory, or a file in its place, as of one version.
    struct Version: Hashable {
        var qid: UInt64
        var version: UInt32

        init(_ entry: DirectoryEntry) {
            qid = entry.qidPath
            version = entry.qidVersion
        }
    }

    /// Nil where the path leads to nothing.
    let entry: DirectoryEntry?
    /// Where the walk ended: the file, or the directory in which the next name is missing. Nil for a
    /// tree without a root.
    private let end: Version?
    /// All states of the branch since then have this very entry; nil where that is not known.
    let since: Generation?

    /// Looks a path up in a tree, without looking at permissions.
    init<Source: NodeSource>(
        _ path: [[UInt8]], in root: TreeRoot, source: Source
    ) throws(FileError) {
        var entry: DirectoryEntry?
        var end: Version?
        var since: Generation?
        var parent = UInt64.max
        for name in [[]] + path {
            let found = try Self.entry(name, of: parent, in: root, source: source)
            since = found.since
            entry = found.entry
            guard let next = entry else { break }
            end = Version(next)
            parent = next.qidPath
        }
        self.entry = entry
        self.end = end
        self.since = entry == nil ? nil : since
    }

    /// Whether the path is the same in both states, and in all that lie between them.
    ///
    /// The version of a file grows with every change, and its qid is never given away again. A
    /// directory's version grows when something is made in it. So a path that is missing in one and
    /// the same version of a directory has been missing all the time.
    ///
    /// What is not noticed is a directory further up that was renamed and got its name back.
    func isSame(as other: PathState) -> Bool {
        (entry == nil) == (other.entry == nil) && end == other.end
    }

    /// The entry of a name. Where it has its entry elsewhere, all states have both since the younger
    /// one of the two.
    private static func entry<Source: NodeSource>(
        _ name: [UInt8], of parent: UInt64, in root: TreeRoot, source: Source
    ) throws(FileError) -> (entry: DirectoryEntry?, since: Generation?) {
        guard name.count <= Geometry.posixNameBytesMax else { return (nil, nil) }
        let found = try decided(Key.entry(parent: parent, name: name), in: root, source: source)
        guard let value = found.value else { return (nil, found.since) }
        guard let link = value.withUnsafeBytes({ LinkRecord($0) }) else {
            return (try decode(value, in: root), found.since)
        }
        let inode = try decided(Key.inode(link.qidPath), in: root, source: source)
        guard let value = inode.value else {
            throw .badRecord(.danglingLink(qid: link.qidPath), root: root.pointer.address)
        }
        let since: Generation? =
            if let name = found.since, let inode = inode.since { max(name, inode) } else { nil }
        return (try decode(value, in: root), since)
    }

    private static func decided<Source: NodeSource>(
        _ key: Key, in root: TreeRoot, source: Source
    ) throws(FileError) -> DecidedValue {
        do throws(ReadError) {
            return try key.withBytes { (key) throws(ReadError) -> DecidedValue in
                try Tree.decidedValue(of: key, in: root, source: source)
            }
        } catch {
            throw FileError(error)
        }
    }

    private static func decode(
        _ value: [UInt8], in root: TreeRoot
    ) throws(FileError) -> DirectoryEntry {
        try value.withBytes { (value) throws(FileError) -> DirectoryEntry in
            try TreePath.decode(value, in: root)
        }
    }
}
