import GefsFormat

/// The keys whose values differ between two trees.
///
/// Costs reading what the trees do not share, and for each key that differs a path down in the
/// tree that has no newer message for it. Both trees must stay allocated meanwhile.
struct TreeDelta<Source: NodeSource> {
    /// A key that differs, in memory that is valid during the call which gets it.
    struct Item {
        let key: UnsafeRawBufferPointer
        /// Nil where the old tree does not have the key.
        let old: UnsafeRawBufferPointer?
        /// Nil where the new tree does not have the key.
        let new: UnsafeRawBufferPointer?
    }

    let old: TreeRoot
    let new: TreeRoot
    let source: Source

    /// Passes what differs among the keys that begin with `prefix`, in key order, until `body`
    /// returns false.
    ///
    /// Pointers to data count as equal where the data does: a block that was written again with the
    /// same contents is no difference.
    func forEach(
        prefix: Key, _ body: (Item) throws(FileError) -> Bool
    ) throws(FileError) {
        try forEach(from: prefix.bytes, before: Self.end(of: prefix.bytes), body)
    }

    /// Passes what differs among the keys from `start` on and below `end`.
    func forEach(
        from start: [UInt8] = [], before end: [UInt8]? = nil,
        _ body: (Item) throws(FileError) -> Bool
    ) throws(FileError) {
        var parts = try reading { () throws(ReadError) in
            try DifferingParts(old, new, source: source, from: start, before: end)
        }
        while let part = try reading({ () throws(ReadError) in try parts.next() }) {
            let goesOn =
                switch part {
                case .key(let key): try compare(key, body)
                case .range(let lower, let upper): try compare(lower, upper, body)
                }
            if !goesOn { return }
        }
    }

    private func compare(
        _ key: [UInt8], _ body: (Item) throws(FileError) -> Bool
    ) throws(FileError) -> Bool {
        let before = try value(key, in: old)
        let after = try value(key, in: new)
        return try key.withBytes { (key) throws(FileError) -> Bool in
            try Self.lend(before) { (before) throws(FileError) -> Bool in
                try Self.lend(after) { (after) throws(FileError) -> Bool in
                    try report(Item(key: key, old: before, new: after), body)
                }
            }
        }
    }

    private func value(_ key: [UInt8], in root: TreeRoot) throws(FileError) -> [UInt8]? {
        try reading { () throws(ReadError) in
            try key.withBytes { (key) throws(ReadError) -> [UInt8]? in
                try Tree.lookup(key, in: root, source: source, mayBlock: true)
            }
        }
    }

    private func compare(
        _ lower: [UInt8], _ upper: [UInt8]?, _ body: (Item) throws(FileError) -> Bool
    ) throws(FileError) -> Bool {
        var scans = [scan(old, lower, upper), scan(new, lower, upper)]
        var before = try next(&scans[0])
        var after = try next(&scans[1])
        while true {
            let order: Int
            switch (before, after) {
            case (nil, nil): return true
            case (_?, nil): order = -1
            case (nil, _?): order = 1
            case (let before?, let after?): order = compareKeys(before.key, after.key)
            }
            guard let key = order <= 0 ? before?.key : after?.key else { return true }
            let item = Item(
                key: key, old: order <= 0 ? before?.value : nil,
                new: order >= 0 ? after?.value : nil)
            guard try report(item, body) else { return false }
            if order <= 0 { before = try next(&scans[0]) }
            if order >= 0 { after = try next(&scans[1]) }
        }
    }

    private func scan(_ root: TreeRoot, _ lower: [UInt8], _ upper: [UInt8]?) -> Tree.Scan<Source> {
        lower.withUnsafeBytes { lower in
            guard let upper else {
                return Tree.Scan(root: root, source: source, from: lower, mayBlock: true)
            }
            return upper.withUnsafeBytes {
                Tree.Scan(root: root, source: source, from: lower, before: $0, mayBlock: true)
            }
        }
    }

    private func next(
        _ scan: inout Tree.Scan<Source>
    ) throws(FileError) -> Tree.Scan<Source>.Item? {
        do throws(ReadError) {
            return try scan.next()
        } catch {
            throw FileError(error)
        }
    }

    private func report(
        _ item: Item, _ body: (Item) throws(FileError) -> Bool
    ) throws(FileError) -> Bool {
        Self.isEqual(item) ? true : try body(item)
    }

    private static func isEqual(_ item: Item) -> Bool {
        guard let old = item.old, let new = item.new else {
            return item.old == nil && item.new == nil
        }
        if old.count == new.count, old.elementsEqual(new) { return true }
        guard item.key.first == KeyKind.data.rawValue, old.count == BlockPointer.byteCount,
            new.count == BlockPointer.byteCount, let left = old.baseAddress,
            let right = new.baseAddress
        else { return false }
        return BlockPointer(decoding: left).hash == BlockPointer(decoding: right).hash
    }

    private func reading<R>(_ body: () throws(ReadError) -> R) throws(FileError) -> R {
        do throws(ReadError) {
            return try body()
        } catch {
            throw FileError(error)
        }
    }

    private static func lend<R>(
        _ bytes: [UInt8]?, _ body: (UnsafeRawBufferPointer?) throws(FileError) -> R
    ) throws(FileError) -> R {
        guard let bytes else { return try body(nil) }
        return try bytes.withBytes(body)
    }

    /// The smallest key above all that begin with `prefix`; nil where there is none.
    private static func end(of prefix: [UInt8]) -> [UInt8]? {
        var end = prefix
        while let last = end.popLast() {
            if last < .max {
                end.append(last + 1)
                return end
            }
        }
        return nil
    }
}
