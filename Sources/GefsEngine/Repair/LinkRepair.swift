import GefsFormat

/// The names of files that have several, and extended attributes: what of them stays.
///
/// Source: Docs/FORMAT.md 12.
struct LinkRepair {
    struct Name {
        var key: Key
        var parent: UInt64
        var name: [UInt8]
    }

    /// Names by file.
    private(set) var names: [UInt64: [Name]] = [:]
    private var ways: [UInt64: Set<Key>] = [:]
    /// In key order.
    private var attributes: [UInt64: [Key]] = [:]

    mutating func take(name: Name, of qid: UInt64) {
        names[qid, default: []].append(name)
    }

    mutating func take(way key: Key, of qid: UInt64) {
        ways[qid, default: []].insert(key)
    }

    mutating func take(attribute key: Key, of qid: UInt64) {
        attributes[qid, default: []].append(key)
    }

    /// All files that something here is about.
    var files: Set<UInt64> {
        Set(names.keys).union(ways.keys)
    }

    /// Makes the names of a file, what leads back to them and what it says agree.
    ///
    /// - Parameters:
    ///   - entry: the file's own, nil where it has none for several names.
    ///   - isReached: whether a directory is in the tree.
    /// - Returns: the names that stay, and all changes but that of the entry.
    func mended(
        _ qid: UInt64, hasInode: Bool, isReached: (UInt64) -> Bool
    ) -> (kept: [Name], edits: [Key: [UInt8]?]) {
        let all = names[qid] ?? []
        let kept = hasInode ? all.filter { isReached($0.parent) } : []
        var edits: [Key: [UInt8]?] = [:]
        for name in all where !kept.contains(where: { $0.key == name.key }) {
            edits[name.key] = .some(nil)
        }
        let wanted = Set(kept.map { Key.link(qid, parent: $0.parent, name: $0.name) })
        let present = ways[qid] ?? []
        for key in present.subtracting(wanted) { edits[key] = .some(nil) }
        for key in wanted.subtracting(present) { edits[key] = .some([]) }
        return (kept, edits)
    }

    /// Takes out attributes of which a part is missing: what is left is not what was set.
    ///
    /// - Returns: their keys, by file.
    mutating func dropIncompleteAttributes() -> [UInt64: [Key]] {
        var dropped: [UInt64: [Key]] = [:]
        for (qid, keys) in attributes {
            var next: [[UInt8]: UInt16] = [:]
            var broken: Set<[UInt8]> = []
            for key in keys {
                guard
                    case .attribute(_, let name, let part)? = key.withBytes({ try? DecodedKey($0) })
                else {
                    continue
                }
                if part != next[name, default: 0] { broken.insert(name) }
                next[name] = part &+ 1
            }
            guard !broken.isEmpty else { continue }
            let gone = keys.filter { key in
                guard case .attribute(_, let name, _)? = key.withBytes({ try? DecodedKey($0) })
                else {
                    return true
                }
                return broken.contains(name)
            }
            dropped[qid] = gone
            let kept = keys.filter { !gone.contains($0) }
            attributes[qid] = kept.isEmpty ? nil : kept
        }
        return dropped
    }

    /// Whether the file has extended attributes.
    func hasAttributes(_ qid: UInt64) -> Bool { attributes[qid] != nil }

    /// Keys of the attributes of files that are not there.
    func orphanAttributes(exists: (UInt64) -> Bool) -> [Key] {
        attributes.filter { !exists($0.key) }.flatMap(\.value)
    }
}
