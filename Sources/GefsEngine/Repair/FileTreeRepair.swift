import GefsFormat

/// What a file tree holds, key by key, and what has to change for it to make sense.
///
/// Source: FORMAT 7.2.
struct FileTreeRepair {
    struct Entry {
        var key: Key
        var parent: UInt64
        var name: [UInt8]
        var value: DirectoryEntry
        var isDirectory: Bool { value.isDirectory }
    }

    private struct Extent {
        var offset: UInt64
        var pointer: BlockPointer
    }

    /// Changes that make the tree sound, but for what cannot be reached.
    var edits: [Key: [UInt8]?] = [:]
    /// Changes that take out what cannot be reached.
    private(set) var removals: [Key: [UInt8]?] = [:]
    /// Changes, instead of the removals, that bring it into `lost+found`.
    private(set) var rescues: [Key: [UInt8]?] = [:]
    var notes: [RepairNote] = []
    /// The highest number of a file.
    private(set) var qidMax: UInt64 = 0
    /// Says which files `rescues` is about, whatever tree they are in.
    private(set) var strayDigest: UInt64 = 0

    private let inspection: TreeInspection
    let labels: [String]
    /// The number of a root that has to be made up.
    private let rootQid: UInt64
    let lostAndFoundQid: UInt64

    var entries: [UInt64: Entry] = [:]
    private var extra: [Entry] = []
    private var ups: [UInt64: [UInt8]] = [:]
    private var extents: [UInt64: [Extent]] = [:]
    private var clearing: Set<UInt64> = []
    var links = LinkRepair()

    static let directoryMode = DirectoryEntry.modeDirectory | 0o775
    private static let rootKey = Key.entry(parent: .max, name: [UInt8]())

    init(
        _ scanned: (pairs: [RepairScan.Pair], misfits: Set<Key>), _ inspection: TreeInspection,
        labels: [String], rootQid: UInt64, lostAndFoundQid: UInt64
    ) {
        self.inspection = inspection
        self.labels = labels
        self.rootQid = rootQid
        self.lostAndFoundQid = lostAndFoundQid
        for key in scanned.misfits.union(inspection.badKeys) { edits[key] = .some(nil) }
        for pair in scanned.pairs {
            // What is rewritten for its own sake keeps its value.
            if edits[pair.key] != nil { edits[pair.key] = pair.value }
            take(pair)
        }
    }

    // MARK: Taking apart

    private mutating func take(_ pair: RepairScan.Pair) {
        guard let decoded = pair.key.withBytes({ try? DecodedKey($0) }) else {
            edits[pair.key] = .some(nil)
            return
        }
        switch decoded {
        case .data(let qid, let offset):
            guard let pointer = pair.value.withUnsafeBytes({ DataPointer.decode($0) }) else {
                return
            }
            extents[qid, default: []].append(Extent(offset: offset, pointer: pointer))
        case .entry(let parent, let name):
            if let link = pair.value.withUnsafeBytes({ LinkRecord($0) }) {
                let name = LinkRepair.Name(key: pair.key, parent: parent, name: name)
                return links.take(name: name, of: link.qidPath)
            }
            takeEntry(pair, parent, name)
        case .inode(let qid):
            takeEntry(pair, .max, [])
            if entries[qid]?.key != pair.key { edits[pair.key] = .some(nil) }
        case .link(let qid, _, _):
            links.take(way: pair.key, of: qid)
        case .attribute(let qid, _, _):
            links.take(attribute: pair.key, of: qid)
        case .up(let qid):
            ups[qid] = pair.value
        case .config(let name):
            for prefix in [ClearJob.keyPrefix, Array("gefs.orphan.".utf8)]
            where name.starts(with: prefix) {
                let digits = String(decoding: name[prefix.count...], as: UTF8.self)
                if let qid = UInt64(digits, radix: 16) { clearing.insert(qid) }
            }
        case .label, .snapshot, .deadlist:
            edits[pair.key] = .some(nil)
        }
    }

    private mutating func takeEntry(_ pair: RepairScan.Pair, _ parent: UInt64, _ name: [UInt8]) {
        let decoded = pair.value.withUnsafeBytes {
            try? DirectoryEntry.decodingAnyLength($0)
        }
        guard let decoded else {
            edits[pair.key] = .some(nil)
            return
        }
        let entry = Entry(key: pair.key, parent: parent, name: name, value: decoded.0)
        if decoded.0.qidPath < 1 << 63 { qidMax = max(qidMax, decoded.0.qidPath) }
        if let first = entries[decoded.0.qidPath] {
            let isRoot = pair.key == Self.rootKey
            extra.append(isRoot ? first : entry)
            if isRoot { entries[decoded.0.qidPath] = entry }
        } else {
            entries[decoded.0.qidPath] = entry
        }
        checkType(entry, pair.value)
    }

    private mutating func checkType(_ entry: Entry, _ value: [UInt8]) {
        guard UInt32(entry.value.qidType) != entry.value.mode >> 24 else { return }
        var bytes = edits[entry.key].flatMap { $0 } ?? value
        // The type byte of the qid (FORMAT 7.1).
        bytes[20] = UInt8(entry.value.mode >> 24)
        edits[entry.key] = bytes
        note(.mended, "file", "the type of its qid follows its mode", entry.value.qidPath)
    }

    // MARK: Putting right

    /// Works out all changes.
    ///
    /// - Parameters:
    ///   - takesOrphans: data of files whose entry is gone is kept, as that entry may have been lost.
    ///   - mended: what a pointer to file data has to become; nil if it is lost.
    mutating func conclude(
        takesOrphans: Bool,
        mended: (BlockPointer, UInt64, UInt64) throws(RepairError) -> BlockPointer?
    ) throws(RepairError) {
        try mendData(mended)
        dropDoubles()
        mendRoot()
        dropDataPastEnd()
        var reached = reachable()
        mendLinks(&reached)
        mendDirectories(reached)
        noteLostRanges()
        setAsideStrays(reached, takesOrphans: takesOrphans)
    }

    private mutating func mendData(
        _ mended: (BlockPointer, UInt64, UInt64) throws(RepairError) -> BlockPointer?
    ) throws(RepairError) {
        for qid in extents.keys.sorted() {
            guard let old = extents[qid] else { continue }
            var kept: [Extent] = []
            for extent in old {
                let key = Key.data(qid, offset: extent.offset)
                guard extent.offset % UInt64(Geometry.blockBytes) == 0 else {
                    edits[key] = .some(nil)
                    continue
                }
                guard inspection.badKeys.contains(key) else {
                    kept.append(extent)
                    continue
                }
                if let right = try mended(extent.pointer, qid, extent.offset) {
                    var value = [UInt8](repeating: 0, count: BlockPointer.byteCount)
                    value.withUnsafeMutableBytes { bytes in
                        if let base = bytes.baseAddress { right.encode(into: base) }
                    }
                    edits[key] = value
                    kept.append(Extent(offset: extent.offset, pointer: right))
                } else {
                    edits[key] = .some(nil)
                    noteLostData(qid, extent)
                }
            }
            extents[qid] = kept
        }
    }

    private mutating func noteLostData(_ qid: UInt64, _ extent: Extent) {
        guard let entry = entries[qid], !entry.isDirectory else { return }
        let length = UInt64(max(0, entry.value.length))
        guard extent.offset < length else { return }
        let end = min(length, extent.offset + UInt64(Geometry.blockBytes))
        note(
            .lost, "file", "block \(extent.pointer.address) cannot be read; it reads as zeros", qid,
            range: extent.offset..<end)
    }

    /// Of several entries with the same number one stays: that which the way up names.
    private mutating func dropDoubles() {
        for candidate in extra {
            let qid = candidate.value.qidPath
            var entry = candidate
            if let first = entries[qid], first.key != Self.rootKey, ups[qid] == entry.key.bytes {
                entries[qid] = entry
                entry = first
            }
            edits[entry.key] = .some(nil)
            note(
                .lost, "entry", "\(entry.key.outline) has the number of another file, and goes",
                entry.value.qidPath)
        }
        extra = []
    }

    private mutating func mendRoot() {
        if let root = entries.values.first(where: { $0.key == Self.rootKey }), root.isDirectory {
            return
        }
        if let wrong = entries.values.first(where: { $0.key == Self.rootKey }) {
            entries[wrong.value.qidPath] = nil
        }
        let named = ups.filter { $0.value == Self.rootKey.bytes }.keys.min()
        let value = DirectoryEntry(
            qidPath: named ?? rootQid, mode: Self.directoryMode, uid: -1, gid: -1, muid: 0)
        entries[value.qidPath] = Entry(
            key: Self.rootKey, parent: .max, name: [], value: value)
        edits[Self.rootKey] = value.encoded()
        notes.append(
            RepairNote(
                .mended, "entry",
                "the entry of the root is made anew; its owner, mode and times are lost",
                labels: labels, path: "/"))
    }

    private static func isName(_ name: [UInt8]) -> Bool {
        !name.isEmpty && !name.contains(UInt8(ascii: "/")) && name != Array(".".utf8)
            && name != Array("..".utf8)
    }

    /// The files that the root leads to.
    private func reachable() -> Set<UInt64> {
        var children: [UInt64: [UInt64]] = [:]
        for (qid, entry) in entries where entry.key != Self.rootKey {
            if Self.isName(entry.name) { children[entry.parent, default: []].append(qid) }
        }
        var reached: Set<UInt64> = []
        var todo = entries.values.filter { $0.key == Self.rootKey }.map(\.value.qidPath)
        while let qid = todo.popLast() {
            guard reached.insert(qid).inserted, entries[qid]?.isDirectory ?? false else { continue }
            todo += children[qid] ?? []
        }
        return reached
    }

    /// Data past the end of its file, which nobody sees, unless it is being reclaimed.
    private mutating func dropDataPastEnd() {
        for (qid, entry) in entries where !entry.isDirectory && !clearing.contains(qid) {
            // A negative length is one beyond what a signed number can say.
            guard let length = UInt64(exactly: entry.value.length),
                let all = extents[qid], all.contains(where: { $0.offset >= length })
            else { continue }
            for extent in all where extent.offset >= length {
                edits[Key.data(qid, offset: extent.offset)] = .some(nil)
            }
            extents[qid] = all.filter { $0.offset < length }
        }
    }

    /// Ways up of directories, and what only files have.
    private mutating func mendDirectories(_ reached: Set<UInt64>) {
        for (qid, entry) in entries where entry.isDirectory {
            if ups[qid] != entry.key.bytes {
                edits[Key.up(qid)] = entry.key.bytes
                note(.mended, "file", "the way up of the directory is made anew", qid)
            }
            for extent in extents[qid] ?? [] {
                edits[Key.data(qid, offset: extent.offset)] = .some(nil)
            }
            extents[qid] = nil
        }
        for qid in ups.keys where !(entries[qid]?.isDirectory ?? false) {
            edits[Key.up(qid)] = .some(nil)
        }
    }

    // MARK: What cannot be reached

    private mutating func setAsideStrays(_ reached: Set<UInt64>, takesOrphans: Bool) {
        guard let root = entries.values.first(where: { $0.key == Self.rootKey }) else { return }
        let strays = entries.keys.filter { !reached.contains($0) }.sorted()
        var found: [UInt64: (value: DirectoryEntry, oldKey: Key?)] = [:]
        for qid in strays {
            guard let entry = entries[qid] else { continue }
            removals[entry.key] = .some(nil)
            if entry.isDirectory { removals[Key.up(qid)] = .some(nil) }
            for extent in extents[qid] ?? [] {
                removals[Key.data(qid, offset: extent.offset)] = .some(nil)
            }
            if !Self.isName(entry.name) || entry.parent == .max || isInCircle(qid, found) {
                found[qid] = (entry.value, entry.key)
            } else if entries[entry.parent] == nil {
                found[entry.parent] = (
                    DirectoryEntry(
                        qidPath: entry.parent, mode: Self.directoryMode, uid: -1, gid: -1, muid: 0),
                    nil
                )
            } else if let parent = entries[entry.parent], !parent.isDirectory {
                // What should hold it is a file: it goes beside.
                found[qid] = (entry.value, entry.key)
            }
        }
        takeOrphans(&found, keeps: takesOrphans)
        guard !found.isEmpty else {
            rescues = [:]
            return
        }
        strayDigest = 0
        let directory = DirectoryEntry(
            qidPath: lostAndFoundQid, mode: Self.directoryMode, uid: -1, gid: -1, muid: 0)
        var name = Array("lost+found".utf8)
        while entries.values.contains(where: {
            $0.parent == root.value.qidPath && $0.name == name
        }) {
            name.append(UInt8(ascii: "+"))
        }
        let place = Key.entry(parent: root.value.qidPath, name: name)
        rescues[place] = directory.encoded()
        rescues[Key.up(lostAndFoundQid)] = place.bytes
        if var value = root.value.posix.map({ _ in root.value }) {
            value.posix?.linkCount = 1
            rescues[root.key] = value.encoded()
        }
        for qid in found.keys.sorted() {
            guard let (found, oldKey) = found[qid] else { continue }
            var value = found
            value.posix?.linkCount = 1
            let key = Key.entry(parent: lostAndFoundQid, name: "\(qid)".utf8)
            if let oldKey { rescues[oldKey] = .some(nil) }
            rescues[key] = value.encoded()
            if value.isDirectory { rescues[Key.up(qid)] = key.bytes }
            strayDigest =
                (strayDigest ^ qid) &* 0x9e37_79b9_7f4a_7c15 &+ UInt64(value.qidVersion)
            notes.append(
                RepairNote(
                    .moved, "entry",
                    value.isDirectory
                        ? "what is in a directory that is not in the tree"
                        : "a file whose name is not in the tree",
                    labels: labels, path: "/" + String(decoding: name, as: UTF8.self) + "/\(qid)"))
        }
        for qid in strays {
            strayDigest =
                (strayDigest ^ qid) &* 0x9e37_79b9_7f4a_7c15
                &+ UInt64(entries[qid]?.value.qidVersion ?? 0)
        }
    }

    /// Whether a directory is within itself, and none of the circle is taken out yet.
    private func isInCircle(
        _ start: UInt64, _ found: [UInt64: (value: DirectoryEntry, oldKey: Key?)]
    ) -> Bool {
        guard let first = entries[start], first.isDirectory else { return false }
        var seen: Set<UInt64> = [start]
        var qid = first.parent
        while let entry = entries[qid], entry.isDirectory {
            if found[qid] != nil { return false }
            if qid == start { return true }
            guard seen.insert(qid).inserted else { return false }
            qid = entry.parent
        }
        return false
    }

    /// Data of files without an entry: of those that may have lost it, or of removed ones.
    private mutating func takeOrphans(
        _ found: inout [UInt64: (value: DirectoryEntry, oldKey: Key?)], keeps: Bool
    ) {
        for qid in extents.keys.sorted() where entries[qid] == nil && !clearing.contains(qid) {
            guard let last = extents[qid]?.map(\.offset).max(), found[qid] == nil else { continue }
            for extent in extents[qid] ?? [] {
                let key = Key.data(qid, offset: extent.offset)
                removals[key] = .some(nil)
                if !keeps { rescues[key] = .some(nil) }
            }
            guard keeps else { continue }
            let length = last.addingReportingOverflow(UInt64(Geometry.blockBytes))
            guard !length.overflow, let bytes = Int64(exactly: length.partialValue) else {
                continue
            }
            found[qid] = (
                DirectoryEntry(
                    qidPath: qid, mode: 0o600, length: bytes, uid: -1, gid: -1, muid: 0), nil
            )
            qidMax = max(qidMax, qid < 1 << 63 ? qid : 0)
        }
    }

    // MARK: Telling

    mutating func note(
        _ outcome: RepairNote.Outcome, _ subject: String, _ text: String, _ qid: UInt64,
        range: Range<UInt64>? = nil
    ) {
        notes.append(
            RepairNote(
                outcome, subject, text, labels: labels, path: path(of: qid), range: range))
    }

    /// The path of a file as far up as it is known.
    private func path(of qid: UInt64) -> String {
        var names: [String] = []
        var seen: Set<UInt64> = []
        var next = qid
        while let entry = entries[next], seen.insert(next).inserted {
            if entry.key == Self.rootKey {
                return "/" + names.reversed().joined(separator: "/")
            }
            names.append(String(decoding: entry.name, as: UTF8.self))
            next = entry.parent
        }
        return "(\(next))/" + names.reversed().joined(separator: "/")
    }

    /// What is gone with nodes: names, and parts of files that are still named.
    private mutating func noteLostRanges() {
        for address in inspection.rebuilt {
            notes.append(
                RepairNote(
                    .lost, "tree",
                    "node \(address) breaks the rules; only what of it is whole is kept",
                    labels: labels))
        }
        for (low, high, why) in inspection.lostRanges {
            let from = low?.outline ?? "the first key"
            let to = high?.outline ?? "the last key"
            notes.append(
                RepairNote(
                    .lost, "tree", "keys from \(from) up to \(to): \(why)", labels: labels))
            let first = low ?? Key(bytes: [])
            for (qid, entry) in entries where !entry.isDirectory && entry.value.length > 0 {
                let blockBytes = UInt64(Geometry.blockBytes)
                let length = UInt64(entry.value.length)
                let lastOffset = (length - 1) / blockBytes * blockBytes
                var start: UInt64 = 0
                var end = length
                if Key.data(qid, offset: lastOffset) < first { continue }
                if let high, high <= Key.data(qid, offset: 0) { continue }
                if case .data(qid, let offset)? = first.withBytes({ try? DecodedKey($0) }) {
                    start = offset
                }
                if let high, case .data(qid, let offset)? = high.withBytes({ try? DecodedKey($0) })
                {
                    end = min(length, offset)
                }
                guard start < end else { continue }
                note(
                    .lost, "file", "where its data lies is lost; it reads as zeros", qid,
                    range: start..<end)
            }
        }
    }
}
