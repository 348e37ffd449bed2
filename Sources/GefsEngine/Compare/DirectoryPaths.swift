import GefsFormat

/// Paths of directories in one tree, found from their qids. Source: FORMAT 7, "Kup".
///
/// What was found is remembered, up to a limit.
struct DirectoryPaths<Source: NodeSource> {
    private static var cachedMax: Int { 50_000 }
    /// Deeper than any path that can be walked; ends loops of a damaged tree.
    private static var depthMax: Int { 10_000 }

    private let root: TreeRoot
    private let source: Source
    private var known: [UInt64: [UInt8]] = [:]

    init(_ root: TreeRoot, source: Source) {
        self.root = root
        self.source = source
    }

    /// The path of an entry from the root, with a slash in front.
    mutating func path(of place: EntryDifference.Place) throws(FileError) -> [UInt8] {
        let slash = UInt8(ascii: "/")
        if place.parent == .max { return [slash] }
        return try path(ofDirectory: place.parent) + [slash] + place.name
    }

    /// The path of a directory; empty for the root. Where the way up is broken, which only damage
    /// can bring about, it begins with `/#` and a qid.
    private mutating func path(ofDirectory qid: UInt64) throws(FileError) -> [UInt8] {
        var below: [(qid: UInt64, name: [UInt8])] = []
        var current = qid
        var path: [UInt8]?
        while path == nil {
            if let found = known[current] {
                path = found
            } else if let up = try up(from: current), below.count < Self.depthMax {
                if up.parent == .max {
                    path = []
                } else {
                    below.append((current, up.name))
                    current = up.parent
                }
            } else {
                path = Array("/#\(current)".utf8)
            }
        }
        if known.count >= Self.cachedMax { known = [:] }
        var result = path ?? []
        known[current] = result
        for step in below.reversed() {
            result += [UInt8(ascii: "/")] + step.name
            known[step.qid] = result
        }
        return result
    }

    private func up(
        from qid: UInt64
    ) throws(FileError) -> (parent: UInt64, name: [UInt8])? {
        let value: [UInt8]?
        do throws(ReadError) {
            value = try Key.up(qid).withBytes { (key) throws(ReadError) -> [UInt8]? in
                try Tree.lookup(key, in: root, source: source, mayBlock: true)
            }
        } catch {
            throw FileError(error)
        }
        return value?.withUnsafeBytes { key in
            EntryKeyView(key).map { ($0.parent, Array($0.name)) }
        }
    }
}
