import GefsFormat

/// Counts the blocks of trees by looking at their nodes, each once however many trees share it.
///
/// For disks whose trees nobody has counted while they were written.
final class TreeCounter {
    private let reader: BlockReader
    /// Blocks below nodes above the leaves, themselves included.
    private var referenced: [BlockAddress: Int] = [:]
    /// Of these, the ones born after the base of the line that the node was written for.
    private var own: [BlockAddress: Int] = [:]

    init(_ reader: BlockReader) {
        self.reader = reader
    }

    /// Counts a tree.
    func size(of record: SnapshotRecord) throws(FileError) -> TreeSize {
        do throws(ReadError) {
            return TreeSize(
                referenced: try count(record.root, Int(record.height), bornAfter: nil),
                own: try count(record.root, Int(record.height), bornAfter: record.base))
        } catch {
            throw FileError(error)
        }
    }

    /// Counts what was born after the base of a tree's line, and looks at nothing else.
    func own(of record: SnapshotRecord) throws(FileError) -> Int {
        do throws(ReadError) {
            return try count(record.root, Int(record.height), bornAfter: record.base)
        } catch {
            throw FileError(error)
        }
    }

    /// Blocks below a node, itself included.
    ///
    /// - Parameter base: counts only what was born later. Such nodes belong to one line, so what is
    ///   known of them holds for one base.
    private func count(
        _ pointer: BlockPointer, _ height: Int, bornAfter base: Generation?
    ) throws(ReadError) -> Int {
        if let base, pointer.generation <= base { return 0 }
        if height > 1,
            let known = base == nil ? referenced[pointer.address] : own[pointer.address]
        {
            return known
        }
        let node = try Tree.readNode(pointer, height: height, from: reader, mayBlock: true)
        var total = 1
        func note(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
            guard key.first == KeyKind.data.rawValue, value.count >= BlockPointer.byteCount,
                let start = value.baseAddress
            else { return }
            let data = BlockPointer(decoding: start)
            if data.isNone { return }
            if let base, data.generation <= base { return }
            total += 1
        }
        guard height > 1 else {
            withExtendedLifetime(node) {
                let leaf = LeafView(unchecked: node.base)
                for index in 0..<leaf.count { note(leaf.key(index), leaf.value(index)) }
            }
            return total
        }
        let pivot = PivotView(unchecked: node.base)
        // Pointers of messages keep their blocks, whether or not a reader sees them (FORMAT 6.4).
        for index in 0..<pivot.messageCount {
            let message = pivot.message(index)
            if message.kind == .insert { note(message.key, message.payload) }
        }
        let children = (0..<pivot.childCount).map { pivot.pointer($0) }
        withExtendedLifetime(node) {}
        for child in children { total += try count(child, height - 1, bornAfter: base) }
        if base == nil { referenced[pointer.address] = total } else { own[pointer.address] = total }
        return total
    }
}

extension Tree {
    /// Nodes of a tree. Leaves are counted without a look at them.
    static func nodeCount(
        _ root: TreeRoot, source: some NodeSource
    ) throws(ReadError) -> Int {
        guard root.height > 1 else { return 1 }
        let node = try readNode(root.pointer, height: root.height, from: source, mayBlock: true)
        let pivot = PivotView(unchecked: node.base)
        guard root.height > 2 else { return withExtendedLifetime(node) { 1 + pivot.childCount } }
        let children = withExtendedLifetime(node) {
            (0..<pivot.childCount).map { pivot.pointer($0) }
        }
        var total = 1
        for child in children {
            total += try nodeCount(
                TreeRoot(pointer: child, height: root.height - 1), source: source)
        }
        return total
    }
}
