import GefsFormat

/// Where a branch differs from the tree that files come back from, found when first asked for.
struct RestorationScope {
    private let source: TreeFiles
    private let target: TreeFiles
    private var difference: FileDifference?
    /// Entries of the source that differ or have something below them that does, by directory.
    private var entriesByDirectory: [UInt64: [Key: PlacedFile]]?
    /// Entries that the branch alone has at their place, by directory.
    private var newByDirectory: [UInt64: [PlacedFile]] = [:]

    init(from source: TreeFiles, to target: TreeFiles) {
        self.source = source
        self.target = target
    }

    private mutating func load() throws(FileError) -> FileDifference {
        if let difference { return difference }
        let difference = try FileDifference(from: source, to: target)
        self.difference = difference
        return difference
    }

    /// Where a file of the source is in the branch now; nil where it is not there any more.
    mutating func place(of file: PlacedFile) throws(FileError) -> PlacedFile? {
        if let pair = try load().files[file.qid] { return pair.right }
        return file
    }

    /// Whether the branch holds other data blocks of a file.
    mutating func hasOtherData(_ qid: UInt64) throws(FileError) -> Bool {
        try load().changedData.contains(qid)
    }

    /// Entries of a directory of the source that are not the same in the branch, or below which
    /// something is not.
    mutating func entries(of directory: UInt64) throws(FileError) -> [PlacedFile] {
        let found = try index()[directory] ?? [:]
        return found.sorted { $0.key < $1.key }.map(\.value)
    }

    /// Entries of a directory of the branch that were not there in the source.
    mutating func newEntries(of directory: UInt64) throws(FileError) -> [PlacedFile] {
        _ = try index()
        return newByDirectory[directory] ?? []
    }

    private mutating func index() throws(FileError) -> [UInt64: [Key: PlacedFile]] {
        if let entriesByDirectory { return entriesByDirectory }
        let difference = try load()
        var found: [UInt64: [Key: PlacedFile]] = [:]
        for pair in difference.files.values {
            let before = pair.left?.places ?? []
            if let file = pair.left {
                for place in before { try addWay(to: file.found(at: place), &found) }
            }
            guard let file = pair.right else { continue }
            for place in file.places.subtracting(before) {
                newByDirectory[place.parent, default: []].append(file.found(at: place))
                if let directory = try source.directory(place.parent) {
                    try addWay(to: directory, &found)
                }
            }
        }
        try addUnexplained(difference, &found)
        entriesByDirectory = found
        return found
    }

    /// Adds a file of the source to its directory, and so on up to the root.
    private func addWay(
        to file: PlacedFile, _ found: inout [UInt64: [Key: PlacedFile]]
    ) throws(FileError) {
        var file = file
        while !file.isRoot, found[file.parent]?[file.nameKey] == nil {
            found[file.parent, default: [:]][file.nameKey] = file
            guard let parent = try source.directory(file.parent) else { return }
            file = parent
        }
    }

    /// Files with the same entry but other data or extended attributes. In one line of history each change counts the
    /// version up; in two the same version can be reached twice.
    private func addUnexplained(
        _ difference: FileDifference, _ found: inout [UInt64: [Key: PlacedFile]]
    ) throws(FileError) {
        var qids = difference.changedData.union(difference.changedAttributes)
            .filter { difference.files[$0] == nil }
        // What is being cleared has no contents.
        for files in [source, target] where !qids.isEmpty {
            for (name, value) in try files.volume.configEntries(ClearJob.keyPrefix, in: files.root)
            {
                if let job = ClearJob(name: name, value: value) { qids.remove(job.qid) }
            }
        }
        guard !qids.isEmpty else { return }
        var directories = [try source.rootDirectory().qid]
        // On a damaged disk a directory may lie in itself.
        var seen: Set<UInt64> = []
        while let directory = directories.popLast() {
            guard seen.insert(directory).inserted else { continue }
            for file in try source.children(of: directory) {
                if qids.contains(file.qid) { try addWay(to: file, &found) }
                if file.isDirectory { directories.append(file.qid) }
            }
        }
    }
}
