import GefsFormat

/// Reads a whole tree: its nodes with the keys that they answer for, and all pairs, messages
/// applied. Source: FORMAT 6.
struct TreeReader {
    struct Node {
        let address: UInt64
        let isLeaf: Bool
        /// Lowest key that is looked for there; nil for no bound.
        let low: Key?
        /// First key that is not; nil for no bound.
        let high: Key?

        /// Whether a search for a key from `first` to `last` comes by.
        func isPassed(from first: Key, to last: Key) -> Bool {
            if let low, last < low { return false }
            if let high, !(first < high) { return false }
            return true
        }
    }

    let map: DiskMap
    private(set) var nodes: [UInt64: Node] = [:]
    private(set) var records: [Key: [UInt8]] = [:]
    /// Blocks of file data that a pointer is physically there for.
    private(set) var data: Set<UInt64> = []

    init(map: DiskMap) {
        self.map = map
    }

    mutating func read(_ root: BlockPointer, height: UInt32) throws {
        try read(root.address.rawValue, Int(height), nil, nil)
    }

    private mutating func read(_ address: UInt64, _ height: Int, _ low: Key?, _ high: Key?) throws {
        nodes[address] = Node(address: address, isLeaf: height == 1, low: low, high: high)
        let block = try map.block(address)
        try block.withUnsafeBytes { bytes in
            try NodeCheck.check(
                bytes, at: BlockAddress(rawValue: address), expecting: height == 1 ? .leaf : .pivot)
            guard let base = bytes.baseAddress else { return }
            if height == 1 {
                let leaf = LeafView(unchecked: base)
                for index in 0..<leaf.count {
                    let value = Array(leaf.value(index))
                    noteData(leaf.key(index), value)
                    records[Key(leaf.key(index))] = value
                }
                return
            }
            let pivot = PivotView(unchecked: base)
            for index in 0..<pivot.childCount {
                try read(
                    pivot.pointer(index).address.rawValue, height - 1,
                    index == 0 ? low : Key(pivot.key(index)),
                    index + 1 == pivot.childCount ? high : Key(pivot.key(index + 1)))
            }
            for index in 0..<pivot.messageCount { try apply(pivot.message(index)) }
        }
    }

    private mutating func noteData(_ key: UnsafeRawBufferPointer, _ value: [UInt8]) {
        guard key.first == KeyKind.data.rawValue, value.count == BlockPointer.byteCount else {
            return
        }
        value.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            data.insert(BlockPointer(decoding: base).address.rawValue)
        }
    }

    private mutating func apply(_ message: MessageView) throws {
        let key = Key(message.key)
        let payload = Array(message.payload)
        if message.kind == .insert { noteData(message.key, payload) }
        let old = records[key]
        var scratch = [UInt8](repeating: 0, count: Geometry.valueBytesMax)
        let new = try scratch.withUnsafeMutableBytes { scratch in
            try payload.withUnsafeBytes { payload in
                guard let old else {
                    return try MessageFold.apply(
                        message.kind, payload: payload, to: nil, scratch: scratch
                    ).map(Array.init)
                }
                return try old.withUnsafeBytes { old in
                    try MessageFold.apply(
                        message.kind, payload: payload, to: old, scratch: scratch
                    ).map(Array.init)
                }
            }
        }
        records[key] = new
    }
}
