import GefsFormat

/// Finds the files that a damaged block belongs to, in every label's tree.
struct ScrubPlaces {
    /// Files that are listed for one block.
    static let filesMax = 64
    /// Trees that are looked at for one block.
    private static let labelsMax = 512

    private let reader: BlockReader
    private let graph: HistoryGraph

    init(_ history: CommittedHistory) {
        reader = history.volume.reader
        graph = history.graph
    }

    func finding(_ suspect: ScrubSuspect) -> ScrubFinding {
        var finding = ScrubFinding(
            address: suspect.address.rawValue, message: message(suspect), files: [],
            hasMoreFiles: false)
        let labels = graph.labels.sorted { $0.key.lexicographicallyPrecedes($1.key) }
        if labels.count > Self.labelsMax { finding.hasMoreFiles = true }
        // Labels of one tree, and trees that share the block, have the same paths to it.
        for (name, label) in labels.prefix(Self.labelsMax) {
            guard let record = graph.records[label.generation] else { continue }
            let root = TreeRoot(pointer: record.root, height: Int(record.height))
            guard holds(root, suspect) else { continue }
            let (paths, isWhole) = paths(root, suspect)
            let prefix = String(decoding: name, as: UTF8.self)
            for path in paths {
                guard finding.files.count < Self.filesMax else {
                    finding.hasMoreFiles = true
                    return finding
                }
                finding.files.append("\(prefix)/\(path)")
            }
            if !isWhole { finding.hasMoreFiles = true }
        }
        return finding
    }

    private func message(_ suspect: ScrubSuspect) -> String {
        let what =
            switch suspect.place {
            case .data(let qid, let offset): "data of file \(qid) at \(offset)"
            case .node(_, _, let height): height == 1 ? "tree leaf" : "tree node"
            case .other(let name): name
            }
        return "block \(suspect.address) (\(what)): \(suspect.reason)"
    }

    /// Whether a tree refers to the block at the place where it was found.
    private func holds(_ root: TreeRoot, _ suspect: ScrubSuspect) -> Bool {
        switch suspect.place {
        case .other: return false
        case .data(let qid, let offset):
            let key = Key.data(qid, offset: offset)
            let value = key.withBytes {
                try? Tree.lookup($0, in: root, source: reader, mayBlock: true)
            }
            guard let value, value.count == BlockPointer.byteCount else { return false }
            return value.withUnsafeBytes { bytes in
                bytes.baseAddress.map { BlockPointer(decoding: $0).address == suspect.address }
                    ?? false
            }
        case .node(let low, _, let height):
            var pointer = root.pointer
            var level = root.height
            while level > height {
                guard
                    let node = try? Tree.readNode(
                        pointer, height: level, from: reader, mayBlock: true)
                else { return false }
                pointer = withExtendedLifetime(node) {
                    let pivot = PivotView(unchecked: node.base)
                    let child = low.map { $0.withBytes { pivot.childIndex(for: $0) } } ?? 0
                    return pivot.pointer(child)
                }
                level -= 1
            }
            return level == height && pointer.address == suspect.address
        }
    }

    /// Paths of the files of a tree that need the block, as far as they can be told.
    private func paths(_ root: TreeRoot, _ suspect: ScrubSuspect) -> ([String], isWhole: Bool) {
        var table = PathTable()
        var hits: [FileName.Place] = []
        var isWhole = true
        for (start, end) in readableParts(suspect) {
            let isRead = scan(root, from: start, before: end) { key, value in
                guard let view = EntryKeyView(key) else { return }
                let place = FileName.Place(parent: view.parent, name: Array(view.name))
                if let link = LinkRecord(value) {
                    if needs(suspect, link, in: root) { hits.append(place) }
                    return
                }
                guard let entry = try? DirectoryEntry(decoding: value) else { return }
                if entry.isDirectory { table.add(entry.qidPath, at: place) }
                if needs(suspect, entry) { hits.append(place) }
            }
            if !isRead { isWhole = false }
        }
        if case .node = suspect.place { isWhole = false }
        let paths = hits.prefix(Self.filesMax).map { table.path(to: $0) }
        return (paths, isWhole && hits.count <= Self.filesMax)
    }

    /// Whether a file that has several names cannot be read wholly without the block.
    private func needs(_ suspect: ScrubSuspect, _ link: LinkRecord, in root: TreeRoot) -> Bool {
        let inode = Key.inode(link.qidPath)
        switch suspect.place {
        case .other: return false
        case .data(let qid, _): return link.qidPath == qid
        case .node(let low, let high, _):
            if Self.overlap(inode, inode, low, high) { return true }
            let entry = try? TreePath.inode(link.qidPath, in: root, source: reader)
            return entry.map { needs(suspect, $0) } ?? true
        }
    }

    /// Whether a file cannot be read wholly without the block.
    private func needs(_ suspect: ScrubSuspect, _ entry: DirectoryEntry) -> Bool {
        let qid = entry.qidPath
        switch suspect.place {
        case .other: return false
        case .data(let damaged, _): return qid == damaged
        case .node(let low, let high, _):
            if entry.posix?.hasAttributes ?? false {
                let prefix = Key.attributePrefix(qid)
                if Self.overlap(prefix, Key(bytes: prefix.bytes + [0xff]), low, high) {
                    return true
                }
            }
            if entry.isDirectory {
                let prefix = Key.entryPrefix(qid)
                return Self.overlap(prefix, Key(bytes: prefix.bytes + [0xff, 0xff]), low, high)
            }
            guard entry.length > 0 else { return false }
            let blockBytes = UInt64(Geometry.blockBytes)
            let last = (UInt64(bitPattern: entry.length) - 1) / blockBytes * blockBytes
            return Self.overlap(
                .data(qid, offset: 0), .data(qid, offset: last), low, high)
        }
    }

    /// Whether keys from the first to the last one may lie in a node with these bounds.
    private static func overlap(_ first: Key, _ last: Key, _ low: Key?, _ high: Key?) -> Bool {
        if let low, last < low { return false }
        if let high, high <= first { return false }
        return true
    }

    /// The parts of the entries' keys that do not lie in the block.
    private func readableParts(_ suspect: ScrubSuspect) -> [(Key, Key)] {
        let all = (Key.prefix(.entry), Key.prefix(.up))
        guard case .node(let low, let high, _) = suspect.place else { return [all] }
        var parts: [(Key, Key)] = []
        if let low, all.0 < low { parts.append((all.0, min(low, all.1))) }
        if let high, high < all.1 { parts.append((max(high, all.0), all.1)) }
        return parts
    }

    /// - Returns: whether all of it could be read.
    private func scan(
        _ root: TreeRoot, from start: Key, before end: Key,
        _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void
    ) -> Bool {
        do throws(ReadError) {
            var scan = start.withBytes { start in
                end.withBytes {
                    Tree.Scan(root: root, source: reader, from: start, before: $0, mayBlock: true)
                }
            }
            while let item = try scan.next() { body(item.key, item.value) }
            return true
        } catch {
            return false
        }
    }
}

/// Where directories are.
private struct PathTable {
    private var places: [UInt64: FileName.Place] = [:]
    private static let depthMax = 4096

    mutating func add(_ qid: UInt64, at place: FileName.Place) {
        places[qid] = place
    }

    /// The path; of a file whose directory is lost, what is known of it.
    func path(to place: FileName.Place) -> String {
        if place.parent == .max { return "" }
        var names = [String(decoding: place.name, as: UTF8.self)]
        var qid = place.parent
        // A damaged tree's directories may lie in circles.
        for _ in 0..<Self.depthMax {
            guard let place = places[qid] else {
                names.append("(directory \(qid))")
                break
            }
            if place.parent == .max { break }
            names.append(String(decoding: place.name, as: UTF8.self))
            qid = place.parent
        }
        return names.reversed().joined(separator: "/")
    }
}
