import GefsFormat

/// Merged iteration over what lies below a branch's active layer, newest layer first.
struct LayerMerge {
    private struct Head {
        let memtable: Memtable
        var cursor: Memtable.Cursor
        var item: Memtable.Item?
    }

    private var heads: [Head] = []
    private var tree: Tree.Scan<BlockReader>
    private var treeItem: (key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer)?
    /// The present pair came from the tree, and is passed when the merge goes on.
    private var isTreeUsed = true
    private let prefix: [UInt8]
    private let after: [UInt8]?

    /// The present pair; nil at the end. Valid until the next `advance`.
    private(set) var key: UnsafeRawBufferPointer?
    private(set) var value: UnsafeRawBufferPointer?

    init(view: BelowView, volume: Volume, prefix: Key, after: [UInt8]?, mayBlock: Bool) {
        self.prefix = prefix.bytes
        self.after = after
        let start = after ?? prefix.bytes
        // Bounded: what lies behind the prefix is not read, since it may be damaged.
        tree = prefix.withBytes { prefix in
            start.withUnsafeBytes {
                Tree.Scan(
                    root: view.version.root, source: volume.reader, prefix: prefix, from: $0,
                    mayBlock: mayBlock)
            }
        }
        for layer in view.frozen.reversed() {
            var cursor = start.withUnsafeBytes { layer.memtable.seek($0) }
            let item = layer.memtable.next(&cursor)
            heads.append(Head(memtable: layer.memtable, cursor: cursor, item: item))
        }
    }

    /// Goes to the next pair that is present.
    mutating func advance() throws(FileError) {
        while true {
            if isTreeUsed { try advanceTree() }
            if heads.isEmpty {
                key = treeItem?.key
                value = treeItem?.value
                isTreeUsed = true
                return
            }
            guard let winner = smallestHead() else {
                key = treeItem?.key
                value = treeItem?.value
                isTreeUsed = true
                return
            }
            let item = heads[winner].item
            pass(equalTo: item?.key)
            if case .value(let bytes)? = item?.state {
                key = item?.key
                value = bytes
                return
            }
        }
    }

    private mutating func advanceTree() throws(FileError) {
        isTreeUsed = false
        do throws(ReadError) {
            while let item = try tree.next() {
                if let after, after.withUnsafeBytes({ compareKeys($0, item.key) }) == 0 { continue }
                guard item.key.starts(with: prefix) else { break }
                treeItem = item
                return
            }
        } catch {
            throw FileError(error)
        }
        treeItem = nil
    }

    /// Index of the newest head with the smallest key that is not behind the tree's.
    private mutating func smallestHead() -> Int? {
        var best: Int?
        var bestKey = treeItem?.key
        for index in heads.indices {
            skipUnwanted(index)
            guard let candidate = heads[index].item?.key else { continue }
            if let key = bestKey {
                let order = compareKeys(candidate, key)
                // A head hides an equal key of the tree and of older heads.
                if order > 0 || (order == 0 && best != nil) { continue }
            }
            best = index
            bestKey = candidate
        }
        return best
    }

    private mutating func skipUnwanted(_ index: Int) {
        while let item = heads[index].item {
            if let after, after.withUnsafeBytes({ compareKeys($0, item.key) }) == 0 {
                heads[index].item = heads[index].memtable.next(&heads[index].cursor)
                continue
            }
            if !item.key.starts(with: prefix) { heads[index].item = nil }
            return
        }
    }

    /// Moves every layer that stands at `key` behind it.
    private mutating func pass(equalTo key: UnsafeRawBufferPointer?) {
        guard let key else { return }
        if let item = treeItem, compareKeys(item.key, key) == 0 { isTreeUsed = true }
        for index in heads.indices {
            if let item = heads[index].item, compareKeys(item.key, key) == 0 {
                heads[index].item = heads[index].memtable.next(&heads[index].cursor)
            }
        }
    }
}
