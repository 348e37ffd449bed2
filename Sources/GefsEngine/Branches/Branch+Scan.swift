import GefsFormat

/// Entries copied out of the active memtable, so that a scan needs the lock only for that.
private struct ActiveEntries {
    var keys: [[UInt8]] = []
    /// Nil where the key is removed.
    var values: [[UInt8]?] = []
    /// The layer had more than fitted: what lies behind the last key is not known.
    var hasMore = false

    static let countMax = 512
}

extension Branch {
    /// Passes the pairs of one prefix, in key order and through all layers, to `body` until it
    /// returns false. The pointers are valid during the call only.
    func scan(
        prefix: Key, after start: [UInt8]?, mayBlock: Bool,
        _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Bool
    ) throws(FileError) {
        var after = start
        while true {
            lock.lock()
            let active = copyActive(prefix: prefix, after: after)
            let view = below
            lock.unlock()
            let wantsMore = try merge(
                active, view, prefix: prefix, after: after, mayBlock: mayBlock, body)
            guard wantsMore, active.hasMore, let last = active.keys.last else { return }
            after = last
        }
    }

    /// Lock held.
    private func copyActive(prefix: Key, after: [UInt8]?) -> ActiveEntries {
        var entries = ActiveEntries()
        guard active.count > 0 else { return entries }
        prefix.withBytes { prefixBytes in
            var cursor = (after ?? prefix.bytes).withUnsafeBytes { active.seek($0) }
            while let item = active.next(&cursor) {
                guard item.key.starts(with: prefixBytes) else { return }
                if let after, item.key.elementsEqual(after) { continue }
                if entries.keys.count == ActiveEntries.countMax {
                    entries.hasMore = true
                    return
                }
                entries.keys.append(Array(item.key))
                if case .value(let bytes) = item.state {
                    entries.values.append(Array(bytes))
                } else {
                    entries.values.append(nil)
                }
            }
        }
        return entries
    }

    /// Returns false when `body` has had enough.
    private func merge(
        _ active: ActiveEntries, _ view: BelowView, prefix: Key, after: [UInt8]?, mayBlock: Bool,
        _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Bool
    ) throws(FileError) -> Bool {
        var layers = LayerMerge(
            view: view, volume: volume, prefix: prefix, after: after, mayBlock: mayBlock)
        var position = 0
        try layers.advance()
        while true {
            // A key of the active layer hides an equal one below.
            var order = 1
            if position < active.keys.count {
                order =
                    layers.key.map { key in
                        active.keys[position].withUnsafeBytes { compareKeys($0, key) }
                    } ?? -1
            }
            if order <= 0 {
                let index = position
                position += 1
                if order == 0 { try layers.advance() }
                guard let value = active.values[index] else { continue }
                let goesOn = active.keys[index].withUnsafeBytes { key in
                    value.withUnsafeBytes { body(key, $0) }
                }
                if !goesOn { return false }
                continue
            }
            guard let key = layers.key, let value = layers.value else { return true }
            if active.hasMore, position == active.keys.count { return true }
            if !body(key, value) { return false }
            try layers.advance()
        }
    }
}
