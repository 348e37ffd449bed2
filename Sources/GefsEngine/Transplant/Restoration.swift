import GefsFormat

/// Works out what brings paths of a branch back to what they were in another tree.
///
/// A path comes back with what it held: contents, attributes, entries. What else there is now stays,
/// unless it is in the way. A file keeps its qid where that is free; where the same file goes on
/// elsewhere with other contents, what it was comes back as another file.
///
/// A file that had several names comes back as one: contents, attributes and extended attributes, and
/// each of its names in what is restored leads to it again. It is the same file in the branch where
/// that still has it; names that it has elsewhere stay its names, and so show it as it was then.
struct Restoration {
    private let source: TreeFiles
    private let target: TreeFiles
    /// Whether entries of restored directories that were not there go.
    private let deletesNew: Bool

    /// By the qid that the file has, or gets, in the branch.
    private var changes: [UInt64: FileChange] = [:]
    /// Files that have got a place.
    private var placed: [FileName.Place: PlacedFile] = [:]
    /// Names that a file with several loses, and where they are.
    private var lostNames: [UInt64: [(place: FileName.Place, path: [[UInt8]])]] = [:]
    /// Files of the branch that lose their place to others, and where that is.
    private var displaced: [(file: PlacedFile, path: [[UInt8]])] = []
    /// Files that go on elsewhere, and the qid of what comes back in place of them.
    private var copies: [(original: PlacedFile, copy: UInt64)] = []
    private var differences: RestorationScope
    /// What is left to be done for a path, the next one last: directories may lie in each other more
    /// deeply than calls.
    private var steps: [Step] = []
    /// Directories of the source whose entries were taken for a path. On a damaged disk one may lie in
    /// itself.
    private var entered: Set<UInt64> = []

    private enum Step {
        case restore(PlacedFile, into: UInt64, [[UInt8]])
        /// What is new in a directory of the source that has become `into`.
        case displaceNew(of: UInt64, into: UInt64, [[UInt8]], isWhole: Bool)
    }

    init(from source: TreeFiles, to target: TreeFiles, deletesNew: Bool) {
        self.source = source
        self.target = target
        self.deletesNew = deletesNew
        differences = RestorationScope(from: source, to: target)
    }

    /// Adds a path, given as the names from the root; empty for the root.
    ///
    /// - Throws: `.notFound` where the source has no such path; `.notADirectory` where a file is now
    ///   where a directory has to come back; `.exists` where a file would take the place of a
    ///   directory that is new.
    mutating func add(_ path: [[UInt8]]) throws(FileError) {
        steps = []
        entered = []
        try begin(path)
        while let step = steps.popLast() {
            switch step {
            case .restore(let file, let directory, let path):
                try restore(file, into: directory, path)
            case .displaceNew(let directory, let new, let path, let isWhole):
                try displaceNew(of: directory, into: new, path, isWhole: isWhole)
            }
        }
    }

    private mutating func begin(_ path: [[UInt8]]) throws(FileError) {
        var file = try source.rootDirectory()
        var directory = try target.rootDirectory()
        guard let last = path.last else {
            return try keep(file, at: directory, [], isWhole: file.qid != directory.qid)
        }
        for (depth, name) in path.dropLast().enumerated() {
            file = try child(of: file, name)
            directory = try bringParent(file, into: directory, Array(path[...depth]))
        }
        try restore(try child(of: file, last), into: directory.qid, path)
    }

    /// The changes, for a branch that is as the target tree says.
    mutating func finish() throws(FileError) -> [FileChange] {
        for (file, path) in displaced { try remove(file, path) }
        for qid in lostNames.keys { try takeLostNames(of: qid) }
        // Where the file that went on elsewhere goes after all, its qid is free.
        for (original, copy) in copies {
            guard let change = changes[original.qid], change.new == nil,
                var coming = changes[copy], var new = coming.new, !new.isDirectory
            else { continue }
            new.entry.qidPath = original.qid
            new.entry.qidVersion = max(new.entry.qidVersion, original.entry.qidVersion &+ 1)
            if original.isLinked { new = new.linked }
            coming.names.added = [coming.path]
            coming.names.removed = change.names.removed
            coming.old = original
            coming.new = new
            changes[copy] = nil
            changes[original.qid] = coming
        }
        return changes.values.sorted { $0.path.count < $1.path.count }
    }

    private func child(
        of directory: PlacedFile, _ name: [UInt8]
    ) throws(FileError) -> PlacedFile {
        guard directory.isDirectory, let file = try source.file(in: directory.qid, named: name)
        else { throw .notFound }
        return file
    }

    /// What the branch will have at a place.
    private func occupant(_ parent: UInt64, _ name: [UInt8]) throws(FileError) -> PlacedFile? {
        let place = FileName.Place(parent: parent, name: name)
        if let file = placed[place] {
            return (changes[file.qid]?.new ?? file).found(at: place)
        }
        guard let file = try target.file(in: parent, named: name) else { return nil }
        if let change = changes[file.qid] {
            return change.new.flatMap { $0.places.contains(place) ? $0.found(at: place) : nil }
        }
        return file
    }

    // MARK: Files and directories

    /// A directory above a path that comes back: the one that is there, or itself without entries.
    private mutating func bringParent(
        _ file: PlacedFile, into directory: PlacedFile, _ path: [[UInt8]]
    ) throws(FileError) -> PlacedFile {
        if let present = try occupant(directory.qid, file.name) {
            guard present.isDirectory else { throw .notADirectory }
            return present
        }
        let isAlive = try differences.place(of: file) != nil
        return try put(file, into: directory.qid, path, keepsQid: !isAlive)
    }

    private mutating func restore(
        _ file: PlacedFile, into directory: UInt64, _ path: [[UInt8]]
    ) throws(FileError) {
        let present = try occupant(directory, file.name)
        if let present, present.qid == file.qid {
            return try keep(file, at: present, path, isWhole: false)
        }
        if file.isDirectory {
            try restoreDirectory(file, into: directory, present, path)
        } else {
            try restoreFile(file, into: directory, present, path)
        }
    }

    private mutating func restoreDirectory(
        _ file: PlacedFile, into directory: UInt64, _ present: PlacedFile?, _ path: [[UInt8]]
    ) throws(FileError) {
        if let present, present.isDirectory {
            return try keep(file, at: present, path, isWhole: true)
        }
        if let present { displace(present, path) }
        guard let there = try differences.place(of: file), changes[file.qid] == nil else {
            let new = try put(file, into: directory, path, keepsQid: changes[file.qid] == nil)
            return try restoreEntries(of: file, into: new.qid, path, isWhole: true)
        }
        if try isInside(directory, there.qid) {
            let new = try put(file, into: directory, path, keepsQid: false)
            return try restoreEntries(of: file, into: new.qid, path, isWhole: true)
        }
        move(there, to: file, into: directory, path)
        try restoreEntries(of: file, into: file.qid, path, isWhole: false)
    }

    private mutating func restoreFile(
        _ file: PlacedFile, into directory: UInt64, _ present: PlacedFile?, _ path: [[UInt8]]
    ) throws(FileError) {
        if let present {
            guard !present.isDirectory || deletesNew else { throw .exists }
            displace(present, path)
        }
        if try bringName(of: file, into: directory, path) { return }
        guard let there = try differences.place(of: file), changes[file.qid] == nil else {
            try put(file, into: directory, path, keepsQid: changes[file.qid] == nil)
            return
        }
        let hasOtherContents = try differences.hasOtherData(file.qid) || there.length != file.length
        if !hasOtherContents, there.parent == directory, !there.isLinked {
            move(there, to: file, into: directory, path)
        } else {
            let new = try put(file, into: directory, path, keepsQid: false)
            copies.append((there, new.qid))
        }
    }

    /// Puts one of several names of a file back.
    ///
    /// - Returns: false where it has to come back as if it had one name only.
    private mutating func bringName(
        of file: PlacedFile, into directory: UInt64, _ path: [[UInt8]]
    ) throws(FileError) -> Bool {
        guard file.isLinked else { return false }
        let place = FileName.Place(parent: directory, name: file.name)
        if var change = changes[file.qid], let new = change.new {
            change.new = new.placed(at: new.places.union([place]))
            if change.old == nil, change.names.added.isEmpty {
                change.names.added = [change.path]
            }
            change.names.added.append(path)
            add(change, at: place)
            return true
        }
        guard changes[file.qid] == nil, let there = try differences.place(of: file) else {
            return false
        }
        guard var new = there.linked.placed(at: there.places.union([place])) else { return false }
        new.entry = file.entry.replacing(there.entry)
        var change = FileChange(
            old: there, new: new, contents: FileContents(files: source, qid: file.qid),
            attributes: FileContents(files: source, qid: file.qid), path: path)
        change.names.added = [path]
        add(change, at: place)
        return true
    }

    /// Takes names that a file loses from what it will have; it goes with the last one.
    private mutating func takeLostNames(of qid: UInt64) throws(FileError) {
        let lost = (lostNames[qid] ?? []).filter { placed[$0.place]?.qid != qid }
        guard let first = lost.first else { return }
        let known: FileChange? =
            if let change = changes[qid] {
                change
            } else {
                try target.linkedFile(qid).map {
                    FileChange(
                        old: $0, new: Self.countingVersionUp($0), contents: nil, path: first.path)
                }
            }
        guard var change = known, let new = change.new else { return }
        change.new = new.placed(at: new.places.subtracting(lost.map(\.place)))
        if change.new == nil {
            change.contents = nil
            change.attributes = nil
        }
        change.names.removed = lost.map(\.path)
        changes[qid] = change
    }

    private static func countingVersionUp(_ file: PlacedFile) -> PlacedFile {
        var file = file
        file.entry.qidVersion &+= 1
        return file
    }

    /// Has entries that differ, or all, of a directory of the source restored next.
    private mutating func restoreEntries(
        of directory: PlacedFile, into new: UInt64, _ path: [[UInt8]], isWhole: Bool
    ) throws(FileError) {
        guard entered.insert(directory.qid).inserted else { return }
        let entries =
            isWhole
            ? try source.children(of: directory.qid)
            : try differences.entries(of: directory.qid)
        if deletesNew {
            steps.append(.displaceNew(of: directory.qid, into: new, path, isWhole: isWhole))
        }
        for file in entries.reversed() {
            steps.append(.restore(file, into: new, path + [file.name]))
        }
    }

    private mutating func displaceNew(
        of directory: UInt64, into new: UInt64, _ path: [[UInt8]], isWhole: Bool
    ) throws(FileError) {
        let present =
            isWhole
            ? try target.children(of: new) : try differences.newEntries(of: new)
        for file in present
        where try source.file(in: directory, named: file.name) == nil {
            displace(file, path + [file.name])
        }
    }

    /// Whether a directory of the branch lies in another.
    private func isInside(_ directory: UInt64, _ other: UInt64) throws(FileError) -> Bool {
        var qid = directory
        var seen: Set<UInt64> = []
        while seen.insert(qid).inserted {
            if qid == other { return true }
            if let change = changes[qid], let new = change.new {
                qid = new.parent
            } else if let file = try target.directory(qid) {
                qid = file.parent
            } else {
                return false
            }
        }
        return false
    }

    // MARK: Changes

    /// A file gets what it was where it is: `present` is the same file, or another directory.
    private mutating func keep(
        _ file: PlacedFile, at present: PlacedFile, _ path: [[UInt8]], isWhole: Bool
    ) throws(FileError) {
        if file.isLinked, changes[present.qid]?.new != nil {
            // By another one of its names.
            placed[present.place] = present
            return
        }
        var new = file.isLinked ? present.linked : present
        new.entry = file.entry.replacing(present.entry)
        let attributes = FileContents(files: source, qid: file.qid)
        add(
            FileChange(
                old: present, new: new, contents: file.isDirectory ? nil : attributes,
                attributes: attributes, path: path), at: present.place)
        if file.isDirectory {
            try restoreEntries(of: file, into: present.qid, path, isWhole: isWhole)
        }
    }

    private mutating func move(
        _ there: PlacedFile, to file: PlacedFile, into directory: UInt64, _ path: [[UInt8]]
    ) {
        let new = PlacedFile(
            parent: directory, name: file.name, entry: file.entry.replacing(there.entry))
        add(
            FileChange(
                old: there, new: new, contents: nil,
                attributes: FileContents(files: source, qid: file.qid), path: path),
            at: new.place)
    }

    @discardableResult
    private mutating func put(
        _ file: PlacedFile, into directory: UInt64, _ path: [[UInt8]], keepsQid: Bool
    ) throws(FileError) -> PlacedFile {
        var new = PlacedFile(parent: directory, name: file.name, entry: file.entry)
        new.entry.qidVersion &+= 1
        if !keepsQid { new.entry.qidPath = try source.volume.nextQid() }
        let attributes = FileContents(files: source, qid: file.qid)
        add(
            FileChange(
                old: nil, new: new, contents: file.isDirectory ? nil : attributes,
                attributes: attributes, path: path), at: new.place)
        return new
    }

    private mutating func add(_ change: FileChange, at place: FileName.Place) {
        guard let new = change.new else { return }
        changes[new.qid] = change
        placed[place] = new
    }

    private mutating func displace(_ file: PlacedFile, _ path: [[UInt8]]) {
        displaced.append((file, path))
    }

    /// Takes a file of the branch away that has no other place now, and what is in it.
    private mutating func remove(_ file: PlacedFile, _ path: [[UInt8]]) throws(FileError) {
        var left = [(file: file, path: path)]
        while let (file, path) = left.popLast() {
            if file.isLinked || changes[file.qid]?.new?.isLinked ?? false {
                lostNames[file.qid, default: []].append((file.place, path))
                continue
            }
            guard changes[file.qid] == nil else { continue }
            changes[file.qid] = FileChange(old: file, new: nil, contents: nil, path: path)
            guard file.isDirectory else { continue }
            for child in try target.children(of: file.qid) {
                left.append((child, path + [child.name]))
            }
        }
    }
}

extension DirectoryEntry {
    /// The entry that brings a file back to this state, from the present one.
    func replacing(_ present: DirectoryEntry) -> DirectoryEntry {
        var entry = self
        entry.flags = present.flags
        entry.qidPath = present.qidPath
        entry.qidVersion = present.qidVersion &+ 1
        return entry
    }
}
