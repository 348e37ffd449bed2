import GefsFormat

/// The directories of a tree that is put together, and where they go: some 100 bytes each.
///
/// Names and links come from a foreign disk and, in part, from different times: a directory may
/// have no parent that is known, or contain itself.
struct RescuedHierarchy {
    struct Directory {
        var parent: UInt64
        var name: [UInt8]
        /// Nil where only its name or its number is known.
        var entry: DirectoryEntry?
        /// The layer that told of it.
        var layer: Int
        /// The path that it got; nil until it is made.
        var path: [[UInt8]]?
        /// Whether it lies in `lost+found` itself.
        var isLost = false
    }

    let rootQid: UInt64
    private(set) var directories: [UInt64: Directory] = [:]
    /// Files with the first layer that tells of them, by qid.
    private(set) var files: ContiguousArray<(qid: UInt64, layer: Int32)> = []
    /// Directories that something is in.
    private(set) var parents: Set<UInt64> = []

    static let lostAndFound = Array("lost+found".utf8)

    init(rootQid: UInt64) {
        self.rootQid = rootQid
    }

    /// The directory that is the top of the tree.
    var root: Directory? { directories[rootQid] }

    /// Notes an entry.
    mutating func add(parent: UInt64, name: [UInt8], _ entry: DirectoryEntry, layer: Int) {
        let isRoot = parent == .max && name.isEmpty
        if !isRoot { parents.insert(parent) }
        guard entry.isDirectory else {
            files.append((entry.qidPath, Int32(clamping: layer)))
            return
        }
        if let known = directories[entry.qidPath], known.layer <= layer { return }
        directories[entry.qidPath] = Directory(
            parent: parent, name: name, entry: entry, layer: layer)
    }

    /// Notes one of several names of a file.
    mutating func add(parent: UInt64, _ link: LinkRecord, layer: Int) {
        parents.insert(parent)
        files.append((link.qidPath, Int32(clamping: layer)))
    }

    /// Notes what is known of a directory whose entry is missing.
    mutating func addNamed(_ qid: UInt64, parent: UInt64, name: [UInt8], layer: Int) {
        directories[qid] = Directory(parent: parent, name: name, entry: nil, layer: layer)
        parents.insert(parent)
    }

    /// Directories that something is in, and of which nothing else is known.
    var missing: [UInt64] {
        parents.filter { $0 != rootQid && $0 != .max && directories[$0] == nil }.sorted()
    }

    /// All entries were noted: files can be looked up from now on, and every directory gets a place
    /// in the tree or in `lost+found`.
    mutating func finish() {
        files.sort { ($0.qid, $0.layer) < ($1.qid, $1.layer) }
        if directories[rootQid] == nil {
            directories[rootQid] = Directory(parent: .max, name: [], entry: nil, layer: 0)
        }
        directories[rootQid]?.path = []
        for qid in missing {
            directories[qid] = Directory(
                parent: .max, name: HostName.nameless(qid), entry: nil, layer: 0, isLost: true)
        }
        for qid in Array(directories.keys) where qid != rootQid {
            guard let parent = directories[qid]?.parent else { continue }
            if parent == .max || directories[parent] == nil { directories[qid]?.isLost = true }
        }
        // What does not hang on anything now hangs on itself.
        var reached: Set<UInt64> = [rootQid]
        for qid in directories.keys.sorted() {
            var way: [UInt64] = []
            var seen: Set<UInt64> = []
            var next = qid
            while !reached.contains(next), let directory = directories[next] {
                guard seen.insert(next).inserted else {
                    directories[next]?.isLost = true
                    break
                }
                way.append(next)
                if directory.isLost { break }
                next = directory.parent
            }
            reached.formUnion(way)
        }
    }

    /// The first layer that tells of a file; only after `finish`.
    func newestLayer(of qid: UInt64) -> Int? {
        var (low, high) = (0, files.count)
        while low < high {
            let middle = (low + high) / 2
            if files[middle].qid < qid { low = middle + 1 } else { high = middle }
        }
        return low < files.count && files[low].qid == qid ? Int(files[low].layer) : nil
    }

    /// Directories in an order in which each comes behind its parent.
    func topDown() -> [UInt64] {
        var children: [UInt64: [UInt64]] = [:]
        var top: [UInt64] = []
        for (qid, directory) in directories where qid != rootQid {
            if directory.isLost {
                top.append(qid)
            } else {
                children[directory.parent, default: []].append(qid)
            }
        }
        func ordered(_ qids: [UInt64]) -> [UInt64] {
            qids.sorted { left, right in
                let (a, b) = (directories[left]?.name ?? [], directories[right]?.name ?? [])
                if a == b { return left < right }
                return a.lexicographicallyPrecedes(b)
            }
        }
        var order: [UInt64] = [rootQid]
        var index = 0
        order += ordered(top)
        while index < order.count {
            order += ordered(children[order[index]] ?? [])
            index += 1
        }
        return order
    }

    mutating func setPath(_ qid: UInt64, _ path: [[UInt8]]) {
        directories[qid]?.path = path
    }
}
