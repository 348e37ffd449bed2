import GefsFormat

/// Which of two states of a volume is the newer one, by what files say.
///
/// Whatever changes a file or a directory gives it a time of modification. Of what is in one state
/// only, the latest such time tells; what both have, such as files from the future, does not.
struct TreeAges {
    let found: ScannedNodes

    /// The nodes that are there of some trees.
    func nodes(below roots: some Sequence<BlockPointer>) -> Set<ScannedNumber> {
        var seen: Set<ScannedNumber> = []
        var todo = roots.compactMap { found.find($0) }
        while let number = todo.popLast() {
            guard seen.insert(number).inserted else { continue }
            found.forEachChild(of: number) { pointer in
                if let child = found.find(pointer) { todo.append(child) }
            }
        }
        return seen
    }

    /// Whether the state with some nodes is newer than that with others; nil where nothing tells.
    func isNewer(_ own: Set<ScannedNumber>, than other: Set<ScannedNumber>) -> Bool? {
        let mine = times(own.subtracting(other))
        let others = times(other.subtracting(own))
        let newest = mine.filter { others[$0.key] == nil }.values.max() ?? .min
        let newestOther = others.filter { mine[$0.key] == nil }.values.max() ?? .min
        return newest == newestOther ? nil : newest > newestOther
    }

    /// Times of modification, by all that is said of a file.
    private func times(_ numbers: Set<ScannedNumber>) -> [[UInt8]: Int64] {
        var times: [[UInt8]: Int64] = [:]
        for number in numbers.sorted() {
            guard let page = found.page(number) else { continue }
            if found[number].isLeaf {
                let leaf = LeafView(unchecked: page.base)
                for index in 0..<leaf.count {
                    let key = leaf.key(index)
                    guard let kind = key.first.flatMap(KeyKind.init(rawValue:)),
                        kind == .entry || kind == .inode,
                        let entry = try? DirectoryEntry(decoding: leaf.value(index))
                    else { continue }
                    times[Array(key) + leaf.value(index)] = entry.modificationTime
                }
            } else {
                let pivot = PivotView(unchecked: page.base)
                for index in 0..<pivot.messageCount {
                    let message = pivot.message(index)
                    guard let time = message.modificationTime else { continue }
                    times[Array(message.key) + message.payload] = time
                }
            }
        }
        return times
    }
}
