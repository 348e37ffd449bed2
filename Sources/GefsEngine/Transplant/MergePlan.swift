import GefsFormat

/// Works out what a fork has changed since it parted from a branch, for that branch.
///
/// Each file is merged by itself, by its qid. Then the tree that would come of it is looked at as a
/// whole: directories that are needed but gone, names that two files would have, loops. With a
/// preference every conflict decides the version of one file as a whole, and all is worked out
/// again, until there is none.
struct MergePlan {
    private let states: MergeStates
    private var decisions: [UInt64: MergePreference] = [:]
    /// Files that are looked at besides those that the fork changed, as the branch has them.
    private var others: [UInt64: PlacedFile?] = [:]

    /// What the branch is to have, by qid, of the files that were looked at.
    private var results: [UInt64: Result] = [:]
    private var conflicts: [MergeConflict] = []
    /// Who has to give way for a conflict to end, by preference.
    private var losers: [(ours: UInt64, theirs: UInt64)] = []

    private struct Result {
        var versions: FileVersions
        var file: PlacedFile?
        var hasTheirContents: Bool
        var hasTheirAttributes = false

        /// Names that the fork has given to the file, in order.
        var newPlaces: [FileName.Place] {
            let new = (file?.places ?? []).subtracting(versions.ours?.places ?? [])
            return new.sorted { $0.key < $1.key }
        }

        /// Names that it keeps.
        var keptPlaces: Set<FileName.Place> {
            (file?.places ?? []).intersection(versions.ours?.places ?? [])
        }

        /// Names that it loses, in order.
        var lostPlaces: [FileName.Place] {
            let lost = (versions.ours?.places ?? []).subtracting(file?.places ?? [])
            return lost.sorted { $0.key < $1.key }
        }

        /// Whether the file is where the fork has put it.
        var isPlacedByThem: Bool { !newPlaces.isEmpty }
    }

    init(_ states: MergeStates) {
        self.states = states
    }

    /// Finds the changes, and the conflicts that remain: with a preference, none.
    mutating func solve(
        _ preference: MergePreference?
    ) throws(FileError) -> (changes: [FileChange], conflicts: [MergeConflict]) {
        while true {
            try workOut()
            if conflicts.isEmpty { return (try changes(), []) }
            guard let preference, decide(preference) else { return ([], sortedConflicts) }
        }
    }

    private var sortedConflicts: [MergeConflict] {
        conflicts.sorted { left, right in
            left.path.lexicographicallyPrecedes(right.path) { $0.lexicographicallyPrecedes($1) }
        }
    }

    /// Returns false where nothing is left to decide.
    private mutating func decide(_ preference: MergePreference) -> Bool {
        var hasDecided = false
        for loser in losers {
            let qid = preference == .ours ? loser.theirs : loser.ours
            if decisions.updateValue(preference, forKey: qid) != preference { hasDecided = true }
            // A file that only the branch has changed is not among the fork's.
            if others[qid] == nil { others[qid] = .some(nil) }
        }
        return hasDecided
    }

    // MARK: Files

    private mutating func workOut() throws(FileError) {
        results = [:]
        conflicts = []
        losers = []
        for qid in Set(states.changedByThem).union(others.keys).sorted() {
            try merge(qid, known: others[qid] ?? nil)
        }
        for qid in results.keys.sorted() { try checkDirectories(qid) }
        try checkNames()
        try checkLoops()
    }

    private mutating func merge(_ qid: UInt64, known: PlacedFile?) throws(FileError) {
        let versions = try states.versions(of: qid, known: known)
        switch FileMerge(versions: versions, preference: decisions[qid]).outcome {
        case .file(let file, let hasTheirContents, let hasTheirAttributes):
            results[qid] = Result(
                versions: versions, file: file, hasTheirContents: hasTheirContents,
                hasTheirAttributes: hasTheirAttributes)
        case .conflict(let kind):
            // What the branch has stands for what will be decided.
            results[qid] = Result(
                versions: versions, file: versions.ours, hasTheirContents: false)
            try addConflict(kind, versions, yieldsOurs: qid, theirs: qid)
        }
    }

    private mutating func addConflict(
        _ kind: MergeConflict.Kind, _ versions: FileVersions, other: PlacedFile? = nil,
        yieldsOurs ours: UInt64, theirs: UInt64
    ) throws(FileError) {
        guard let file = versions.theirs ?? versions.ours ?? versions.base else { return }
        let isTheirs = versions.theirs != nil
        let otherFile = other ?? (isTheirs ? versions.ours : nil)
        let path = try path(of: file, in: isTheirs ? states.theirs : states.ours)
        let otherPath = try otherFile.map { (file) throws(FileError) in
            try self.path(of: file, in: states.ours)
        }
        conflicts.append(
            MergeConflict(
                kind: kind, qid: file.qid, isDirectory: file.isDirectory, path: path,
                otherPath: otherPath == path ? nil : otherPath))
        losers.append((ours, theirs))
    }

    private func path(
        of file: PlacedFile, in files: TreeFiles
    ) throws(FileError) -> [[UInt8]] {
        if file.isRoot { return [] }
        return (try files.path(to: file.parent) ?? []) + [file.name]
    }

    // MARK: The tree

    /// The directory that a file is in must be there; one that goes must be empty.
    private mutating func checkDirectories(_ qid: UInt64) throws(FileError) {
        guard let result = results[qid] else { return }
        if result.file != nil {
            for place in result.newPlaces where try directory(place.parent) == nil {
                others[place.parent] = others[place.parent] ?? .some(nil)
                try addConflict(
                    .directoryRemoved, result.versions, yieldsOurs: place.parent, theirs: qid)
            }
            return
        }
        guard let ours = result.versions.ours, ours.isDirectory else { return }
        for child in try states.ours.children(of: qid) {
            if let other = results[child.qid] {
                if !(other.file?.places.contains(child.place) ?? false) { continue }
                // The file's own conflict says it already.
                if case .conflict = outcome(of: other, child.qid) { continue }
            }
            others[child.qid] = child
            let versions = try states.versions(of: child.qid, known: child)
            try addConflict(
                .directoryRemoved, versions, other: child, yieldsOurs: child.qid, theirs: qid)
        }
    }

    private func outcome(of result: Result, _ qid: UInt64) -> FileMerge.Outcome {
        FileMerge(versions: result.versions, preference: decisions[qid]).outcome
    }

    /// A directory as it will be; nil where there will be none.
    private func directory(_ qid: UInt64) throws(FileError) -> PlacedFile? {
        if let result = results[qid] { return result.file.flatMap { $0.isDirectory ? $0 : nil } }
        return try states.ours.directory(qid)
    }

    private mutating func checkNames() throws(FileError) {
        var owners: [FileName.Place: UInt64] = [:]
        for (qid, result) in results {
            for place in result.keptPlaces { owners[place] = qid }
        }
        for qid in results.keys.sorted() {
            guard let result = results[qid] else { continue }
            for place in result.newPlaces {
                var owner = owners[place].flatMap { results[$0]?.file }
                if owner == nil,
                    let present = try states.ours.file(in: place.parent, named: place.name),
                    results[present.qid] == nil
                {
                    owner = present
                    others[present.qid] = present
                }
                owners[place] = qid
                guard let owner else { continue }
                try addConflict(
                    .nameTaken, result.versions, other: owner, yieldsOurs: owner.qid,
                    theirs: qid)
            }
        }
    }

    private mutating func checkLoops() throws(FileError) {
        for qid in results.keys.sorted() {
            guard let result = results[qid], result.isPlacedByThem, let file = result.file,
                file.isDirectory
            else { continue }
            var seen: Set<UInt64> = [qid]
            var ourMove = qid
            var parent = file.parent
            while let next = try directory(parent), !next.isRoot {
                if let other = results[parent], !other.isPlacedByThem,
                    other.versions.base.map({ !$0.isAtSamePlace(as: next) }) ?? false
                {
                    ourMove = parent
                } else if results[parent] == nil, try isMovedByUs(next) {
                    ourMove = parent
                    others[parent] = next
                }
                guard seen.insert(parent).inserted else {
                    try addConflict(
                        .cycle, result.versions, yieldsOurs: ourMove, theirs: qid)
                    break
                }
                parent = next.parent
            }
        }
    }

    private func isMovedByUs(_ directory: PlacedFile) throws(FileError) -> Bool {
        let base = try states.versions(of: directory.qid).base
        return base.map { !$0.isAtSamePlace(as: directory) } ?? false
    }

    // MARK: Changes

    private func changes() throws(FileError) -> [FileChange] {
        var changes: [FileChange] = []
        var paths = MergedPaths()
        for qid in results.keys.sorted() {
            guard let result = results[qid],
                result.file != result.versions.ours || result.hasTheirAttributes
            else { continue }
            let path: [[UInt8]]
            if let file = result.file {
                path = try paths.path(to: file.place) { (qid) throws(FileError) in
                    try directory(qid)
                }
            } else if let ours = result.versions.ours {
                path = try self.path(of: ours, in: states.ours)
            } else {
                continue
            }
            let contents = FileContents(files: states.theirs, qid: qid)
            var change = FileChange(
                old: result.versions.ours, new: result.file,
                contents: result.hasTheirContents ? contents : nil,
                attributes: result.hasTheirAttributes ? contents : nil, path: path)
            let isLinked = (result.file ?? result.versions.ours)?.isLinked ?? false
            if isLinked {
                change.names.added = try result.newPlaces.map { (place) throws(FileError) in
                    try paths.path(to: place) { (qid) throws(FileError) in try directory(qid) }
                }
                change.names.removed = try result.lostPlaces.map { (place) throws(FileError) in
                    (try states.ours.path(to: place.parent) ?? []) + [place.name]
                }
            }
            changes.append(change)
        }
        return changes
    }
}

/// Paths of a tree that is yet to be.
private struct MergedPaths {
    private static var depthMax: Int { 10_000 }
    private var known: [UInt64: [[UInt8]]] = [:]

    mutating func path(
        to place: FileName.Place, _ directory: (UInt64) throws(FileError) -> PlacedFile?
    ) throws(FileError) -> [[UInt8]] {
        if place.parent == .max { return [] }
        var names: [[UInt8]] = [place.name]
        var missing: [(qid: UInt64, depth: Int)] = []
        var qid = place.parent
        // In a damaged tree directories may lie in circles.
        while known[qid] == nil, names.count < Self.depthMax, let above = try directory(qid),
            !above.isRoot
        {
            missing.append((qid, names.count))
            names.append(above.name)
            qid = above.parent
        }
        let path = (known[qid] ?? []) + names.reversed()
        for (qid, depth) in missing { known[qid] = Array(path.dropLast(depth)) }
        return path
    }
}
