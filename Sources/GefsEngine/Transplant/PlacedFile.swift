import GefsFormat

/// A file as one tree holds it: its directory, its name there, its entry.
///
/// A file that has several names is one file: it is equal to itself by whichever name it was found.
struct PlacedFile: Hashable, Sendable {
    /// Qid of the directory; all ones for a root.
    var parent: UInt64
    /// Empty for a root.
    var name: [UInt8]
    var entry: DirectoryEntry
    /// All names of a file whose entry lies under a key of its own, one of them the one above; empty
    /// for others. Source: Docs/FORMAT.md 12.3.
    private var names: Set<FileName.Place> = []

    init(parent: UInt64, name: [UInt8], entry: DirectoryEntry) {
        self.parent = parent
        self.name = name
        self.entry = entry
    }

    /// A file that has several names, found by the first of them; nil without any.
    init?(names: some Collection<FileName.Place>, entry: DirectoryEntry) {
        guard let first = names.min(by: { $0.key < $1.key }) else { return nil }
        self.init(parent: first.parent, name: first.name, entry: entry)
        self.names = Set(names)
    }

    /// A file that has several names, found by one of them.
    init(
        at place: FileName.Place, names: some Collection<FileName.Place>, entry: DirectoryEntry
    ) {
        self.init(parent: place.parent, name: place.name, entry: entry)
        self.names = Set(names).union([place])
    }

    var qid: UInt64 { entry.qidPath }
    var isDirectory: Bool { entry.isDirectory }
    var isRoot: Bool { parent == .max }
    var length: UInt64 { UInt64(bitPattern: entry.length) }

    /// Whether the entry lies under a key of its own.
    var isLinked: Bool { !names.isEmpty }

    /// Where it was found.
    var place: FileName.Place { FileName.Place(parent: parent, name: name) }

    /// All its names.
    var places: Set<FileName.Place> { isLinked ? names : [place] }

    /// Key of the name by which it was found.
    var nameKey: Key { Key.entry(parent: parent, name: name) }

    /// Key of the directory entry.
    var key: Key { isLinked ? Key.inode(qid) : nameKey }

    /// The value of a key that names the file.
    var nameValue: [UInt8] {
        isLinked
            ? LinkRecord(qidPath: qid, kind: PosixBits.unchangeable(of: entry.mode)).encoded()
            : entry.encoded()
    }

    /// The same file with other names, of which there is at least one; nil without any. It has its
    /// entry under a key of its own if it had, or has several now: then it keeps that for good.
    func placed(at places: Set<FileName.Place>) -> PlacedFile? {
        guard isLinked || places.count > 1 else {
            return places.first.map {
                PlacedFile(parent: $0.parent, name: $0.name, entry: entry)
            }
        }
        return places.contains(place)
            ? PlacedFile(at: place, names: places, entry: entry)
            : PlacedFile(names: places, entry: entry)
    }

    /// The same file, found by another one of its names.
    func found(at place: FileName.Place) -> PlacedFile {
        isLinked ? PlacedFile(at: place, names: names, entry: entry) : self
    }

    /// The same file as one whose entry lies under a key of its own.
    var linked: PlacedFile { PlacedFile(at: place, names: places, entry: entry) }

    /// Whether both have the same directories and names.
    func isAtSamePlace(as other: PlacedFile) -> Bool {
        places == other.places
    }

    static func == (left: PlacedFile, right: PlacedFile) -> Bool {
        left.entry == right.entry && left.isLinked == right.isLinked && left.places == right.places
    }

    func hash(into hasher: inout Hasher) {
        hasher.combine(entry)
    }
}

extension DirectoryEntry {
    /// Whether kind, permissions and owners are the same.
    func hasSameAttributes(as other: DirectoryEntry) -> Bool {
        mode == other.mode && uid == other.uid && gid == other.gid
    }
}
