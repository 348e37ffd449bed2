import GefsFormat

@testable import GefsEngine

/// Everything in a file tree, found by reading all of it.
struct TreeContents {
    struct File {
        var path: String
        var entry: DirectoryEntry
        /// Hashes of the blocks below the file's length, by index.
        var blocks: [UInt64: UInt64] = [:]
    }

    /// By qid.
    private(set) var files: [UInt64: File] = [:]

    init(_ root: TreeRoot, _ reader: BlockReader) throws {
        var names: [UInt64: (parent: UInt64, name: String, entry: DirectoryEntry)] = [:]
        var data: [UInt64: [UInt64: UInt64]] = [:]
        let start = UnsafeRawBufferPointer(start: nil, count: 0)
        var scan = Tree.Scan(root: root, source: reader, from: start, mayBlock: true)
        while let item = try scan.next() {
            switch try DecodedKey(item.key) {
            case .entry(let parent, let name):
                let entry = try DirectoryEntry(decoding: item.value)
                names[entry.qidPath] = (parent, String(decoding: name, as: UTF8.self), entry)
            case .data(let qid, let offset):
                guard let base = item.value.baseAddress else { continue }
                data[qid, default: [:]][offset / 16384] = BlockPointer(decoding: base).hash
            default: continue
            }
        }
        for (qid, item) in names {
            var path = item.parent == .max ? "/" : ""
            var current = item
            while current.parent != .max, let up = names[current.parent] {
                path = "/" + current.name + path
                current = up
            }
            let count = UInt64((item.entry.length + 16383) / 16384)
            files[qid] = File(
                path: path, entry: item.entry,
                blocks: (data[qid] ?? [:]).filter { $0.key < count })
        }
    }

    /// What a comparison should say, a line a change, sorted.
    func changes(to new: TreeContents) -> [String] {
        var lines: [String] = []
        for qid in Set(files.keys).union(new.files.keys) {
            switch (files[qid], new.files[qid]) {
            case (nil, let file?): lines.append("added \(file.path) [] \(file.blocks.count)")
            case (let file?, nil): lines.append("removed \(file.path) [] \(file.blocks.count)")
            case (let before?, let after?):
                guard let line = Self.change(before, after) else { continue }
                lines.append(line)
            case (nil, nil): continue
            }
        }
        return lines.sorted()
    }

    private static func change(_ before: File, _ after: File) -> String? {
        var aspects: [String] = []
        let (old, new) = (before.entry, after.entry)
        let indices = Set(before.blocks.keys).union(after.blocks.keys)
        let count = indices.count { before.blocks[$0] != after.blocks[$0] }
        if count > 0 || old.length != new.length { aspects.append("contents") }
        if old.length != new.length { aspects.append("size") }
        if old.mode != new.mode { aspects.append("mode") }
        if old.uid != new.uid { aspects.append("owner") }
        if old.gid != new.gid { aspects.append("group") }
        if !new.isDirectory, old.modificationTime != new.modificationTime {
            aspects.append("modified")
        }
        // Those below a renamed directory are not renamed.
        let name = { (path: String) in path.split(separator: "/").last }
        let isRenamed = name(before.path) != name(after.path)
        if aspects.isEmpty, !isRenamed { return nil }
        let verb = isRenamed ? "renamed \(before.path) to" : "changed"
        return "\(verb) \(after.path) [\(aspects.joined(separator: " "))] \(count)"
    }

    /// A change in the form of `changes(to:)`.
    static func line(_ change: PathChange) -> String {
        let names: [(PathChange.Aspects, String)] = [
            (.contents, "contents"), (.size, "size"), (.mode, "mode"), (.owner, "owner"),
            (.group, "group"), (.modificationTime, "modified"), (.attributes, "attributes"),
        ]
        let aspects = names.filter { change.aspects.contains($0.0) }.map(\.1)
        var verb = change.kind.rawValue
        if let old = change.oldPath { verb += " \(String(decoding: old, as: UTF8.self)) to" }
        let path = String(decoding: change.path, as: UTF8.self)
        return "\(verb) \(path) [\(aspects.joined(separator: " "))] \(change.blockCount)"
    }
}
