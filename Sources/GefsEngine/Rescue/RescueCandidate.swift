import GefsFormat

/// A tree that can be copied out, and what it is put together from.
struct RescueCandidate {
    var tree: RescuableTree
    var layers: [LayeredTree.Layer]
    /// The qid of its root directory, as far as known.
    var rootQid: UInt64
}

/// Which trees there are: labels where the snapshot tree, or a part of it, is there, and roots that
/// no known snapshot has.
extension Rescue {
    /// A root of a file tree, or a part that has lost what is above it.
    private struct Part {
        var layer: LayeredTree.Layer
        var time: Int64
        /// The qid of the root directory; nil where that part is missing.
        var rootQid: UInt64?
        var isRoot: Bool
    }

    /// Most older states that are asked for what is missing in a tree.
    private static var olderTreesMax: Int { 64 }
    /// Most parts whose root directory is looked for.
    private static var partsMax: Int { 4096 }
    /// The branch of the users file, whose root has the second qid ever given.
    private static var administration: (name: [UInt8], rootQid: UInt64) {
        (Array("adm".utf8), 1)
    }

    func makeCandidates() throws(RescueError) -> [RescueCandidate] {
        let parts = try makeParts()
        let snapshots = LayeredTree(found, try snapshotLayers())
        var candidates: [RescueCandidate] = []
        var newestKnown: UInt64 = 0
        for (name, record, layer) in try labels(in: snapshots) {
            newestKnown = max(newestKnown, record.generation.rawValue)
            let isCommitted = snapshots.layers[layer].generation == .max
            candidates.append(
                try candidate(name, record, isCommitted: isCommitted, snapshots, parts))
        }
        // What a superblock names is complete; else there may be states that no label tells of.
        if !candidates.contains(where: { $0.tree.origin == .superblock }) {
            candidates += nameless(parts, newerThan: candidates.isEmpty ? nil : newestKnown)
        }
        candidates.sort { $0.tree.name.lexicographicallyPrecedes($1.tree.name) }
        return candidates
    }

    // MARK: The snapshot tree

    /// The snapshot tree that the newest superblock names, then what is there of others.
    private func snapshotLayers() throws(RescueError) -> [LayeredTree.Layer] {
        var layers: [LayeredTree.Layer] = []
        for superblock in superblocks {
            guard let root = found.find(superblock.snapshotTreeRoot),
                !layers.contains(where: { $0.root == root })
            else { continue }
            layers.append(.init(root: root, coverage: .all, generation: .max))
        }
        var newest: [ScannedNumber: UInt64] = [:]
        var rest: [LayeredTree.Layer] = []
        for number in found.numbers {
            let flags = found[number].flags
            guard flags.contains(.snapshots), flags.contains(.evident),
                !flags.contains(.vouched)
            else { continue }
            rest.append(
                .init(
                    root: number, coverage: coverage(of: number),
                    generation: newestSnapshot(below: number, depth: 0, &newest)))
        }
        rest.sort { $0.generation > $1.generation }
        putLastFirst(&rest)
        return layers + rest
    }

    /// Of layers with the same newest generation, puts that before the others whose files are newest:
    /// many commits are made in one generation.
    private func putLastFirst(_ layers: inout [LayeredTree.Layer]) {
        guard let newest = layers.first?.generation else { return }
        let ages = TreeAges(found: found)
        var best = 0
        var nodes = ages.nodes(below: roots(below: layers[0].root))
        for index in layers.indices.dropFirst() {
            guard layers[index].generation == newest else { break }
            let others = ages.nodes(below: roots(below: layers[index].root))
            guard ages.isNewer(others, than: nodes) == true else { continue }
            (best, nodes) = (index, others)
        }
        layers.swapAt(0, best)
    }

    /// The roots of trees that a part of the snapshot tree names.
    private func roots(below top: ScannedNumber) -> [BlockPointer] {
        var roots: [BlockPointer] = []
        // Pivots made on purpose may lead to the same node on more ways than anybody can go.
        var seen: Set<ScannedNumber> = [top]
        var todo = [top]
        while let number = todo.popLast() {
            guard let page = found.page(number) else { continue }
            ScannedNodes.forEachRoot(in: page, isLeaf: found[number].isLeaf) {
                roots.append($0.root)
            }
            found.forEachChild(of: number) { pointer in
                if let child = found.find(pointer), seen.insert(child).inserted {
                    todo.append(child)
                }
            }
        }
        return roots
    }

    /// The newest generation of a snapshot in a part of the snapshot tree, whose nodes are all born
    /// in generation 0.
    private func newestSnapshot(
        below number: ScannedNumber, depth: Int, _ known: inout [ScannedNumber: UInt64]
    ) -> UInt64 {
        if let generation = known[number] { return generation }
        var newest = found[number].newestGeneration
        if !found[number].isLeaf, depth < Geometry.treeHeightMax, let page = found.page(number) {
            let pivot = PivotView(unchecked: page.base)
            for index in 0..<pivot.childCount {
                guard let child = found.find(pivot.pointer(index)) else { continue }
                newest = max(newest, newestSnapshot(below: child, depth: depth + 1, &known))
            }
        }
        known[number] = newest
        return newest
    }

    /// The labels of the newest snapshot tree and, for its gaps, of older ones.
    ///
    /// Without a superblock the newest one may not be known: making, renaming and deleting a label
    /// gives no new generation. Then the labels of all that may be the newest are taken.
    private func labels(
        in snapshots: LayeredTree
    ) throws(RescueError) -> [(name: [UInt8], record: LabelRecord, layer: Int)] {
        var labels: [[UInt8]: (record: LabelRecord, layer: Int)] = [:]
        let newest = snapshots.layers.first?.generation
        let isCertain = newest == .max
        for first in snapshots.layers.indices {
            guard first == 0 || (!isCertain && snapshots.layers[first].generation == newest)
            else { break }
            let range = KeySpan.prefix(Key.prefix(.label).bytes)
            _ = try snapshots.read(range, from: first) { (layer, key, value) in
                guard case .label(let name)? = try? DecodedKey(key),
                    let record = try? LabelRecord(decoding: value)
                else { return }
                if let known = labels[name], known.record.generation >= record.generation {
                    return
                }
                labels[name] = (record, layer)
            }
        }
        return labels.map { ($0.key, $0.value.record, $0.value.layer) }
    }

    private func snapshot(
        _ generation: Generation, in snapshots: LayeredTree
    ) throws(RescueError) -> SnapshotRecord? {
        try layeredSnapshot(generation, in: snapshots)?.record
    }

    private func layeredSnapshot(
        _ generation: Generation, in snapshots: LayeredTree
    ) throws(RescueError) -> (layer: Int, record: SnapshotRecord)? {
        guard let value = try snapshots.value(of: .snapshot(generation)),
            let record = value.bytes.withUnsafeBytes({ try? SnapshotRecord(decoding: $0) })
        else { return nil }
        return (value.layer, record)
    }

    // MARK: Trees

    private func candidate(
        _ name: [UInt8], _ label: LabelRecord, isCommitted: Bool, _ snapshots: LayeredTree,
        _ parts: [Part]
    ) throws(RescueError) -> RescueCandidate {
        let known = try layeredSnapshot(label.generation, in: snapshots)
        // The label may be that of the last commit, and where its tree is that of an earlier one.
        let isCommitted =
            isCommitted && known.map { snapshots.layers[$0.layer].generation == .max } ?? true
        let record = known?.record
        let root = record.flatMap { found.find($0.root) }
        var layers: [LayeredTree.Layer] = []
        let isAdministration = name == Self.administration.name
        var rootQid: UInt64 = isAdministration ? Self.administration.rootQid : 0
        if let root {
            layers.append(
                .init(root: root, coverage: .all, generation: label.generation.rawValue))
            rootQid = try self.rootQid(of: layers[0]) ?? rootQid
        }
        layers += try line(before: record, in: snapshots)
        let used = Set(layers.map(\.root))
        var older = parts.filter { part in
            !used.contains(part.layer.root)
                && part.layer.generation <= label.generation.rawValue
                && (part.rootQid == nil || part.rootQid == rootQid)
        }
        // A part that no snapshot names may be of this very branch; another branch's is not.
        older.sort { !$0.isRoot && $1.isRoot }
        layers += Self.limited(older.map(\.layer))
        let tree = RescuableTree(
            name: name, generation: label.generation.rawValue, isMutable: label.isMutable,
            origin: isCommitted ? .superblock : .snapshotTree, hasRoot: root != nil,
            olderLayers: layers.count - (root == nil ? 0 : 1))
        return RescueCandidate(tree: tree, layers: layers, rootQid: rootQid)
    }

    /// The states before a snapshot that are there, the newest first.
    private func line(
        before record: SnapshotRecord?, in snapshots: LayeredTree
    ) throws(RescueError) -> [LayeredTree.Layer] {
        var layers: [LayeredTree.Layer] = []
        var next = record?.predecessor ?? .none
        var last = record?.generation ?? .none
        // Links lead to ever older snapshots; what does not is damaged.
        while !next.isNone, next < last, layers.count < Self.olderTreesMax,
            let record = try snapshot(next, in: snapshots)
        {
            if let root = found.find(record.root) {
                layers.append(.init(root: root, coverage: .all, generation: next.rawValue))
            }
            last = next
            next = record.predecessor
        }
        return layers
    }

    private static func limited(_ layers: [LayeredTree.Layer]) -> [LayeredTree.Layer] {
        var trees = 0
        return layers.filter { layer in
            guard !layer.isUnverified else { return true }
            trees += 1
            return trees <= olderTreesMax
        }
    }

    /// Trees for roots that no label tells of, one for each root directory.
    private func nameless(_ parts: [Part], newerThan known: UInt64?) -> [RescueCandidate] {
        let newer = parts.filter { part in
            !part.isRoot && !part.layer.isUnverified
                && known.map { part.layer.generation > $0 } ?? true
        }
        var heads = Set(newer.compactMap(\.rootQid))
        if known == nil {
            heads.formUnion(parts.compactMap(\.rootQid))
            if heads.isEmpty, !parts.isEmpty { heads = [0] }
        }
        return heads.sorted().map { rootQid in
            let layers = Self.limited(
                parts.filter { $0.rootQid == nil || $0.rootQid == rootQid }.map(\.layer))
            let isFirst = rootQid == 0
            let tree = RescuableTree(
                name: Array((isFirst ? "recovered" : "recovered-QID\(rootQid)").utf8),
                generation: nil, isMutable: true, origin: .scan, hasRoot: true,
                olderLayers: max(0, layers.count - 1))
            return RescueCandidate(tree: tree, layers: layers, rootQid: rootQid)
        }
    }

    // MARK: Parts

    /// All roots of file trees and all parts that nobody names, the newest first, and then leaves
    /// that nothing vouches for where those are asked for.
    private func makeParts() throws(RescueError) -> [Part] {
        var parts: [Part] = []
        var leaves: [Part] = []
        for number in found.numbers {
            let node = found[number]
            guard !node.flags.contains(.snapshots), !node.flags.contains(.data) else { continue }
            let isRoot = node.flags.contains(.root)
            guard isRoot || !node.flags.contains(.vouched) else { continue }
            guard node.isBelieved || (options.usesUnverified && node.isLeaf) else { continue }
            let layer = LayeredTree.Layer(
                root: number, coverage: isRoot ? .all : coverage(of: number),
                generation: node.newestGeneration, isUnverified: !node.isBelieved)
            let part = Part(layer: layer, time: node.newestTime, rootQid: nil, isRoot: isRoot)
            if node.isBelieved { parts.append(part) } else { leaves.append(part) }
        }
        func isNewer(_ left: Part, _ right: Part) -> Bool {
            (left.layer.generation, left.time) > (right.layer.generation, right.time)
        }
        parts.sort(by: isNewer)
        leaves.sort(by: isNewer)
        for index in parts.indices.prefix(Self.partsMax) {
            parts[index].rootQid = try rootQid(of: parts[index].layer)
        }
        return parts + leaves
    }

    private func rootQid(of layer: LayeredTree.Layer) throws(RescueError) -> UInt64? {
        let tree = LayeredTree(found, [layer])
        let value = try tree.value(of: .entry(parent: .max, name: []), in: 0)
        return value?.withUnsafeBytes { try? DirectoryEntry(decoding: $0) }?.qidPath
    }

    /// The keys about which a node knows for certain although it is not known what bounds it was
    /// given: from the first key or message to the last one in it or below its last child. Nothing
    /// tells the root of a tree from a part, and a part must not say that what lies beyond it is
    /// not there.
    private func coverage(of number: ScannedNumber) -> KeySpan {
        guard let page = found.page(number) else { return KeySpan(low: [], high: []) }
        if found[number].isLeaf {
            let leaf = LeafView(unchecked: page.base)
            return KeySpan(
                low: Array(leaf.key(0)),
                high: KeySpan.successor(of: Array(leaf.key(leaf.count - 1))))
        }
        let pivot = PivotView(unchecked: page.base)
        var range = KeySpan(low: Array(pivot.key(0)), high: nil)
        var end = lastKeyEnd(page, depth: 0)
        if pivot.messageCount > 0 {
            let first = Array(pivot.messageKey(0))
            if KeySpan.isBelow(first, range.low) { range.low = first }
            let last = KeySpan.successor(of: Array(pivot.messageKey(pivot.messageCount - 1)))
            if KeySpan.isBelow(end, last) { end = last }
        }
        range.high = end
        return range
    }

    private func lastKeyEnd(_ page: BlockBuffer, depth: Int) -> [UInt8] {
        let pivot = PivotView(unchecked: page.base)
        let last = pivot.childCount - 1
        guard depth < Geometry.treeHeightMax, let child = found.find(pivot.pointer(last)),
            let page = found.page(child)
        else { return Array(pivot.key(last)) }
        guard found[child].isLeaf else { return lastKeyEnd(page, depth: depth + 1) }
        let leaf = LeafView(unchecked: page.base)
        return KeySpan.successor(of: Array(leaf.key(leaf.count - 1)))
    }
}
