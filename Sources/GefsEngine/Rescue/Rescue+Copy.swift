import GefsFormat

extension Rescue {
    /// Copies a tree out. Takes as long as reading its files.
    ///
    /// - Parameters:
    ///   - name: the name of one of `trees`.
    ///   - sink: where it goes.
    ///   - file: called with each file and directory as it is done.
    /// - Returns: what came out; nil where there is no such tree.
    /// - Throws: `RescueError`: `stopped`, or what the sink threw.
    public func copy(
        _ name: [UInt8], to sink: any RescueSink,
        file: @escaping (RescuedFile) throws(RescueError) -> Void = { _ in }
    ) throws(RescueError) -> RescuedTreeReport? {
        guard let candidate = candidates.first(where: { $0.tree.name == name }) else { return nil }
        let copy = TreeCopy(self, candidate, sink, file)
        return try copy.run()
    }

    /// A label as a name that any host can be given.
    public static func safeName(_ label: [UInt8]) -> [UInt8] {
        HostName.safe(label, qid: 0)
    }

    /// The users file as it is left, for the names of owners; nil where nothing of it is.
    public func users() -> UserTable? {
        let label = Array("adm".utf8)
        guard let candidate = candidates.first(where: { $0.tree.name == label }) else { return nil }
        let tree = LayeredTree(found, candidate.layers)
        let key = Key.entry(parent: candidate.rootQid, name: "users".utf8)
        guard let value = try? tree.value(of: key),
            let entry = value.bytes.withUnsafeBytes({ try? DirectoryEntry(decoding: $0) }),
            entry.length <= 1 << 20
        else { return nil }
        var bytes = [UInt8](repeating: 0, count: Int(entry.length))
        let reader = RescuedData(self, tree)
        let missing = try? reader.read(entry, key, layer: value.layer) {
            (part, offset) throws(RescueError) in
            let start = Int(offset)
            bytes.replaceSubrange(start..<start + part.count, with: part)
        }
        guard let missing, missing.byteCount == 0 else { return nil }
        return try? UserTable(parsing: bytes)
    }
}

/// The copy of one tree.
///
/// Entries are read twice: first for the directories, which are then made, and again for the files.
private final class TreeCopy {
    private let rescue: Rescue
    private let tree: LayeredTree
    private let sink: any RescueSink
    private let onFile: (RescuedFile) throws(RescueError) -> Void
    private let data: RescuedData
    /// Whether the first layer is the tree itself; else all of them are older states.
    private let hasRoot: Bool
    private var hierarchy: RescuedHierarchy
    private var report = RescuedTreeReport()
    private var hasLostAndFound = false
    /// There are names of files whose own entry is not known.
    private var hasLostEntries = false
    /// The file with several names that was asked for last.
    private var linked: (qid: UInt64, found: LinkedFile?)?
    /// What `lost+found` is called in this copy.
    private var lostPath: [[UInt8]] = []

    /// The entry of a file that has several names.
    private struct LinkedFile {
        var entry: DirectoryEntry
        var layer: Int
    }

    init(
        _ rescue: Rescue, _ candidate: RescueCandidate, _ sink: any RescueSink,
        _ onFile: @escaping (RescuedFile) throws(RescueError) -> Void
    ) {
        self.rescue = rescue
        self.sink = sink
        self.onFile = onFile
        tree = LayeredTree(rescue.found, candidate.layers)
        data = RescuedData(rescue, tree)
        hierarchy = RescuedHierarchy(rootQid: candidate.rootQid)
        hasRoot = candidate.tree.hasRoot
        report.name = candidate.tree.name
    }

    func run() throws(RescueError) -> RescuedTreeReport {
        try readHierarchy()
        let order = hierarchy.topDown()
        for qid in order { try makeDirectory(qid) }
        try copyFiles()
        if report.unknownNameRanges > 0 || hasLostEntries { try copyNamelessData() }
        for qid in order.reversed() { try finishDirectory(qid) }
        report.bytes = data.bytesDone
        return report
    }

    private func check() throws(RescueError) {
        let state = RescueProgress(phase: .copying, bytesDone: data.bytesDone, bytesTotal: nil)
        if let progress = rescue.progress, !progress(state) { throw .stopped }
    }

    // MARK: Directories

    private func readHierarchy() throws(RescueError) {
        let unknown = try tree.read(.prefix(Key.prefix(.entry).bytes)) {
            (layer, key, value) throws(RescueError) in
            guard let view = EntryKeyView(key) else { return }
            if let link = LinkRecord(value) {
                if try linkedFile(link.qidPath) != nil {
                    hierarchy.add(parent: view.parent, link, layer: layer)
                } else {
                    hasLostEntries = true
                }
                return
            }
            guard let entry = try? DirectoryEntry(decoding: value) else { return }
            hierarchy.add(parent: view.parent, name: Array(view.name), entry, layer: layer)
        }
        report.unknownNameRanges = unknown.count
        try check()
        // A directory whose entry is missing may still tell its name by the way up.
        var asked: Set<UInt64> = []
        while true {
            let missing = hierarchy.missing.filter { asked.insert($0).inserted }
            if missing.isEmpty { break }
            for qid in missing {
                guard let up = try tree.value(of: .up(qid)) else { continue }
                up.bytes.withUnsafeBytes { bytes in
                    guard let view = EntryKeyView(bytes), view.parent != qid else { return }
                    hierarchy.addNamed(
                        qid, parent: view.parent, name: Array(view.name), layer: up.layer)
                }
            }
        }
        hierarchy.finish()
    }

    private func makeDirectory(_ qid: UInt64) throws(RescueError) {
        guard let directory = hierarchy.directories[qid], directory.path == nil else { return }
        try check()
        report.directories += 1
        let place = try self.place(of: directory.isLost ? nil : directory.parent)
        let name = HostName.safe(directory.name, qid: qid)
        do throws(RescueError) {
            let given = try sink.makeDirectory(name, in: place)
            hierarchy.setPath(qid, place + [given])
        } catch {
            guard case .refused(let why) = error else { throw error }
            // What is in it goes to lost+found.
            var file = described(directory, qid, place + [name])
            file.state = .failed
            file.problem = why
            try onFile(file)
        }
    }

    /// The path of a directory; that of `lost+found` where it is not known or could not be made.
    private func place(of qid: UInt64?) throws(RescueError) -> [[UInt8]] {
        if let qid, let path = hierarchy.directories[qid]?.path { return path }
        report.lostFiles += 1
        if !hasLostAndFound {
            lostPath = [try sink.makeDirectory(RescuedHierarchy.lostAndFound, in: [])]
            hasLostAndFound = true
        }
        return lostPath
    }

    private func finishDirectory(_ qid: UInt64) throws(RescueError) {
        guard let directory = hierarchy.directories[qid], let path = directory.path else { return }
        if !path.isEmpty { try onFile(described(directory, qid, path)) }
        guard let entry = directory.entry else { return }
        for (name, value) in try data.attributes(of: entry, layer: directory.layer) {
            try sink.setAttribute(name, to: value, of: path)
        }
        try sink.finishDirectory(
            path, mode: entry.mode & ModeBits.permissions, time: entry.modificationTime)
    }

    private func described(
        _ directory: RescuedHierarchy.Directory, _ qid: UInt64, _ path: [[UInt8]]
    ) -> RescuedFile {
        let origin = directory.entry == nil ? .nameless : self.origin(of: directory.layer)
        var file = RescuedFile(
            path: path, originalName: path.last == directory.name ? nil : directory.name, qid: qid,
            isDirectory: true, state: .whole, origin: origin, length: 0, mode: 0o755, modified: 0,
            uid: -1, gid: -1, muid: -1)
        if let entry = directory.entry { file.take(entry) }
        return file
    }

    private func origin(of layer: Int) -> RescuedFile.Origin {
        if tree.layers[layer].isUnverified { return .unverified }
        return layer == 0 && hasRoot ? .tree : .older
    }

    // MARK: Files

    private func copyFiles() throws(RescueError) {
        _ = try tree.read(.prefix(Key.prefix(.entry).bytes)) {
            (layer, key, value) throws(RescueError) in
            guard let view = EntryKeyView(key),
                let (entry, entryKey, entryLayer) = try file(key, value, layer)
            else { return }
            if let newest = hierarchy.newestLayer(of: entry.qidPath), newest < layer {
                report.olderNames += 1
                return
            }
            let isKnown =
                view.parent == hierarchy.rootQid
                || hierarchy.directories[view.parent] != nil
            let place = try self.place(of: isKnown ? view.parent : nil)
            let name = Array(view.name)
            var file = RescuedFile(
                path: place, originalName: nil, qid: entry.qidPath, isDirectory: false,
                state: .whole, origin: origin(of: max(layer, entryLayer)),
                length: UInt64(entry.length),
                mode: entry.mode, modified: entry.modificationTime, uid: entry.uid, gid: entry.gid,
                muid: entry.muid)
            try copy(&file, named: name, entry, entryKey, layer: entryLayer)
        }
    }

    /// The file that a name stands for, with its entry's key and the layer that has it; nil for a
    /// directory, and where the entry is not known.
    private func file(
        _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, _ layer: Int
    ) throws(RescueError) -> (DirectoryEntry, Key, Int)? {
        if let link = LinkRecord(value) {
            return try linkedFile(link.qidPath).map {
                ($0.entry, Key.inode(link.qidPath), $0.layer)
            }
        }
        guard let entry = try? DirectoryEntry(decoding: value), !entry.isDirectory else {
            return nil
        }
        return (entry, Key(key), layer)
    }

    private func linkedFile(_ qid: UInt64) throws(RescueError) -> LinkedFile? {
        if let linked, linked.qid == qid { return linked.found }
        var found: LinkedFile?
        if let value = try tree.value(of: Key.inode(qid)),
            let entry = value.bytes.withUnsafeBytes({ try? DirectoryEntry(decoding: $0) }),
            entry.qidPath == qid, !entry.isDirectory
        {
            found = LinkedFile(entry: entry, layer: value.layer)
        }
        linked = (qid, found)
        return found
    }

    private func copy(
        _ file: inout RescuedFile, named name: [UInt8], _ entry: DirectoryEntry, _ key: Key?,
        layer: Int
    ) throws(RescueError) {
        try check()
        report.files += 1
        let place = file.path
        do throws(RescueError) {
            let made = try sink.makeFile(HostName.safe(name, qid: file.qid), in: place)
            file.path = place + [made.name]
            if made.name != name {
                file.originalName = name
                report.renamedFiles += 1
            }
            do throws(RescueError) {
                let missing = try data.read(entry, key, layer: layer) {
                    (bytes, offset) throws(RescueError) in
                    try self.check()
                    try made.file.write(bytes, at: offset)
                }
                for (name, value) in try data.attributes(of: entry, layer: layer) {
                    try made.file.setAttribute(name, to: value)
                }
                try made.file.finish(
                    length: UInt64(entry.length), mode: entry.mode & ModeBits.permissions,
                    time: entry.modificationTime)
                file.missing = missing.ranges
                file.missingBytes = missing.byteCount
                if missing.byteCount > 0 { file.state = .partial }
            } catch {
                made.file.abandon()
                throw error
            }
        } catch {
            guard case .refused(let why) = error else { throw error }
            if file.path.count == place.count { file.path.append(name) }
            file.state = .failed
            file.problem = why
        }
        count(file)
        try onFile(file)
    }

    private func count(_ file: RescuedFile) {
        switch file.state {
        case .whole: if file.origin == .tree { report.wholeFiles += 1 }
        case .partial: report.partialFiles += 1
        case .failed: report.failedFiles += 1
        }
        switch file.origin {
        case .tree: break
        case .older: report.olderFiles += 1
        case .unverified: report.unverifiedFiles += 1
        case .nameless: report.lostFiles += 1
        }
        report.missingBytes += file.missingBytes
    }

    /// Data of files that no entry names, where entries are missing: it is told apart by the qid.
    private func copyNamelessData() throws(RescueError) {
        var lengths: [UInt64: (layer: Int, end: UInt64)] = [:]
        _ = try tree.read(.prefix(Key.prefix(.data).bytes)) {
            (layer, key, _) throws(RescueError) in
            guard case .data(let qid, let offset)? = try? DecodedKey(key),
                offset.isMultiple(of: UInt64(Geometry.blockBytes)), offset < 1 << 62,
                hierarchy.newestLayer(of: qid) == nil
            else { return }
            let end = offset + UInt64(Geometry.blockBytes)
            guard let known = lengths[qid] else {
                lengths[qid] = (layer, end)
                return
            }
            if known.layer == layer { lengths[qid] = (layer, max(known.end, end)) }
        }
        for (qid, found) in lengths.sorted(by: { $0.key < $1.key }) {
            let entry = DirectoryEntry(
                qidPath: qid, mode: 0o600, length: Int64(found.end), uid: -1, gid: -1, muid: -1)
            var file = RescuedFile(
                path: try place(of: nil), originalName: nil, qid: qid, isDirectory: false,
                state: .partial, origin: .nameless, length: found.end, mode: 0o600, modified: 0,
                uid: -1, gid: -1, muid: -1)
            report.lostFiles -= 1
            try copy(&file, named: HostName.nameless(qid), entry, nil, layer: found.layer)
        }
    }
}

extension RescuedFile {
    /// Takes over what an entry says beside name and length.
    mutating func take(_ entry: DirectoryEntry) {
        mode = entry.mode
        modified = entry.modificationTime
        uid = entry.uid
        gid = entry.gid
        muid = entry.muid
    }
}
