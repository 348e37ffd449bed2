import GefsFormat

/// Changes of a branch's files that are made at one instant, so that one commit has all of them
/// and a reader sees all of them.
///
/// Each key that is touched is known with what it held when the changes were worked out; the
/// changes are made only where all of that still holds: ARCHITECTURE, "Optimistic changes".
struct BranchChanges {
    /// How a file gets its contents.
    enum Contents {
        /// It keeps them, or has none.
        case kept
        /// The branch has them already, under the file's qid.
        case staged
        /// Blocks that come and blocks that become holes; all from `cutFrom` on make way before.
        case loaded([LoadedBlock], cleared: [UInt64], cutFrom: UInt64)
    }

    struct File {
        var change: FileChange
        var contents: Contents

        /// The qid whose data goes; nil where none does.
        var goingQid: UInt64? {
            guard let old = change.old, !old.isDirectory, old.qid != change.new?.qid else {
                return nil
            }
            return old.qid
        }

        /// The file that comes without having been there.
        var comingFile: PlacedFile? {
            guard let new = change.new, change.old?.qid != new.qid else { return nil }
            return new
        }
    }

    /// What a key must hold.
    enum Expectation {
        case anything
        case absent
        case value([UInt8])

        func isMet(by value: [UInt8]?) -> Bool {
            switch self {
            case .anything: true
            case .absent: value == nil
            case .value(let expected): value == expected
            }
        }
    }

    /// What becomes of a key.
    enum Outcome {
        case removed
        case value([UInt8])
    }

    struct Step {
        var expected = Expectation.absent
        var outcome = Outcome.removed
    }

    let branch: Branch
    /// The branch's count from before the changes were worked out.
    let switchCount: UInt64
    private(set) var files: [File] = []
    private(set) var steps: [Key: Step] = [:]
    /// Directories that must be there, by qid, and whether they are stamped as changed.
    private var parents: [UInt64: Bool] = [:]
    /// Files that have a change of their own.
    private var changedQids: Set<UInt64> = []

    init(_ branch: Branch, switchCount: UInt64) {
        self.branch = branch
        self.switchCount = switchCount
    }

    /// Adds a change. No two concern the same file, or lead to the same name.
    ///
    /// - Parameter target: the tree that the change was worked out against.
    mutating func add(
        _ change: FileChange, _ contents: Contents, in target: TreeFiles
    ) throws(FileError) {
        var change = change
        try addAttributes(&change, in: target)
        files.append(File(change: change, contents: contents))
        if let old = change.old {
            changedQids.insert(old.qid)
            expect(.value(old.entry.encoded()), at: old.key)
            if old.isLinked { expectNames(of: old) }
        }
        if let new = change.new {
            changedQids.insert(new.qid)
            steps[new.key, default: Step()].outcome = .value(new.entry.encoded())
            if new.isLinked { bringNames(of: new) }
        }
        addWayUp(change)
        try addParents(change, in: target)
    }

    /// The names of a file that has several, and what leads back to them from it. Source:
    /// Docs/FORMAT.md 12.3.
    private mutating func expectNames(of file: PlacedFile) {
        for place in file.places {
            expect(.value(file.nameValue), at: place.key)
            expect(.value([]), at: Key.link(file.qid, parent: place.parent, name: place.name))
        }
    }

    private mutating func bringNames(of file: PlacedFile) {
        for place in file.places {
            steps[place.key, default: Step()].outcome = .value(file.nameValue)
            let link = Key.link(file.qid, parent: place.parent, name: place.name)
            steps[link, default: Step()].outcome = .value([])
        }
    }

    /// The extended attributes that go and come, and what the entry says of the file's parts. Every
    /// change of them counts the version of the entry up, which is looked at: so their keys need not
    /// be. Source: Docs/FORMAT.md 12.2, 12.4.
    private mutating func addAttributes(
        _ change: inout FileChange, in target: TreeFiles
    ) throws(FileError) {
        guard branch.volume.isPosix else { return }
        let source = change.attributeSource(in: target)
        if let old = change.old, source != nil || change.new?.qid != old.qid {
            for part in try target.attributes(of: old.qid) {
                expect(.anything, at: Self.attributeKey(old.qid, part.name))
            }
        }
        guard var new = change.new else { return }
        var hasAttributes = change.old?.entry.posix?.hasAttributes ?? false
        if let source {
            let parts = try source.files.attributes(of: source.qid)
            for part in parts {
                steps[Self.attributeKey(new.qid, part.name)] = Step(
                    expected: .anything, outcome: .value(part.value))
            }
            hasAttributes = !parts.isEmpty
        } else if change.old == nil {
            hasAttributes = false
        }
        let mayHaveHoles = [change.old?.entry, new.entry].contains {
            $0?.posix?.mayHaveHoles ?? false
        }
        new.entry.posix = DirectoryEntry.Posix(
            changeTime: branch.volume.now(), linkCount: UInt32(new.places.count),
            hasAttributes: hasAttributes, mayHaveHoles: mayHaveHoles)
        change.new = new
    }

    private static func attributeKey(_ qid: UInt64, _ part: [UInt8]) -> Key {
        Key(bytes: Key.attributePrefix(qid).bytes + part)
    }

    private mutating func expect(_ expected: Expectation, at key: Key) {
        steps[key, default: Step()].expected = expected
    }

    /// The records that lead from a directory to its own entry. Source: FORMAT 7.2.
    private mutating func addWayUp(_ change: FileChange) {
        let old = change.old.flatMap { $0.isDirectory ? $0 : nil }
        let new = change.new.flatMap { $0.isDirectory ? $0 : nil }
        if let old, let new, old.qid == new.qid, old.isAtSamePlace(as: new) { return }
        if let old { expect(.anything, at: Key.up(old.qid)) }
        if let new {
            steps[Key.up(new.qid)] = Step(expected: .anything, outcome: .value(new.key.bytes))
        }
    }

    private mutating func addParents(
        _ change: FileChange, in target: TreeFiles
    ) throws(FileError) {
        for directory in change.touchedDirectories { parents[directory] = true }
        guard let new = change.new, let old = change.old else { return }
        // An open file that moves needs the directories above it.
        let olds = Set(old.places.map(\.parent))
        for parent in Set(new.places.map(\.parent)).subtracting(olds) {
            var next = try target.directory(parent)
            while let directory = next, !directory.isRoot {
                parents[directory.parent] = parents[directory.parent] ?? false
                next = try target.directory(directory.parent)
            }
        }
    }

    /// Directories that must be there and have no change of their own.
    var otherParents: [(qid: UInt64, isStamped: Bool)] {
        parents.filter { !changedQids.contains($0.key) }.sorted { $0.key < $1.key }
            .map { ($0.key, $0.value) }
    }
}
