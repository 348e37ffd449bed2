import GefsFormat

@testable import GefsEngine

/// Random changes for a tree: which keys there may be, and what is done to them.
struct TreeWorkload {
    /// How keys are chosen.
    enum Pattern: CaseIterable {
        case random, cluster, ascending
    }

    var random: TreeRandom
    let purpose: Tree.Purpose
    let keys: [Key]

    /// Whether keys and values are as long as can be, which makes trees high.
    let isLarge: Bool

    init(seed: UInt64, purpose: Tree.Purpose, keyCount: Int) {
        var random = TreeRandom(seed: seed)
        self.purpose = purpose
        isLarge = random.chance(50)
        var all: Set<Key> = []
        while all.count < keyCount {
            let isLong = isLarge && random.chance(90)
            all.insert(
                isLong
                    ? Key.config(random.bytes(235 + random.below(21))) : Self.key(purpose, &random))
        }
        keys = all.sorted()
        self.random = random
    }

    private static func key(_ purpose: Tree.Purpose, _ random: inout TreeRandom) -> Key {
        let number = UInt64(random.below(40))
        switch (purpose, random.below(10)) {
        case (.files, 0..<4):
            return Key.data(number, offset: UInt64(random.below(2000) * Geometry.blockBytes))
        case (.files, 4..<7):
            return Key.entry(parent: number, name: random.bytes(1 + random.below(40)))
        case (.files, 7):
            return Key.entry(parent: number, name: random.bytes(200 + random.below(45)))
        case (.snapshots, 0..<3):
            return Key.snapshot(Generation(rawValue: random.next() % 100_000))
        case (.snapshots, 3..<6):
            return Key.deadlist(
                Generation(rawValue: number), birth: Generation(rawValue: random.next() % 5000))
        case (.snapshots, 6..<8):
            return Key.label(random.bytes(8 + random.below(120)))
        default:
            return Key.config(random.bytes(8 + random.below(248)))
        }
    }

    mutating func value(_ key: Key, _ forest: TestForest) -> [UInt8] {
        switch KeyKind(rawValue: key.bytes[0]) {
        case .data:
            let pointer = forest.newData()
            return [UInt8](unsafeUninitializedCapacity: 24) { bytes, count in
                if let base = bytes.baseAddress { pointer.encode(into: base) }
                count = 24
            }
        case .entry: return random.bytes(61)
        case .label: return random.bytes(13)
        case .snapshot:
            // Counts far from both ends, so that any change of them is possible.
            return [0, 0, 1, 0, 0, 0, 1, 0] + random.bytes(64)
        case .deadlist: return random.bytes(48)
        default: return random.bytes(random.chance(isLarge ? 80 : 20) ? 512 : random.below(40))
        }
    }

    /// The message of ours that removes a key.
    static func removal(_ key: Key) -> MessageKind {
        switch KeyKind(rawValue: key.bytes[0]) {
        case .data: .clearb
        case .entry, .up: .clobber
        default: .delete
        }
    }

    /// A batch of changes, of which so many percent are inserts.
    mutating func changes(
        count: Int, inserts percent: Int, _ pattern: Pattern, for model: TreeModel
    ) -> [TreeChange] {
        var chosen: Set<Int> = []
        let start = random.below(keys.count)
        for step in 0..<count {
            switch pattern {
            case .random: chosen.insert(random.below(keys.count))
            case .cluster: chosen.insert(min(start + random.below(count * 2), keys.count - 1))
            case .ascending: chosen.insert(min(start + step, keys.count - 1))
            }
        }
        var changes: [TreeChange] = []
        for index in chosen.sorted() {
            let key = keys[index]
            if random.chance(percent) {
                changes.append(
                    TreeChange(kind: .insert, key: key, payload: value(key, model.forest)))
            } else {
                let kind = Self.removal(key)
                // A delete promises that the key is there; the other removals do not.
                if kind == .delete && model.values[key] == nil { continue }
                changes.append(TreeChange(kind: kind, key: key))
            }
        }
        return changes
    }

    /// Removals of nearly all keys of a random range, which leave whole subtrees empty or almost so.
    mutating func sweep(_ model: TreeModel) -> [TreeChange] {
        let present = model.values.keys.sorted()
        let start = random.below(present.count)
        let count = random.below(present.count - start) + 1
        let survivors = random.below(4)
        return present[start..<(start + count)].compactMap { key in
            if random.below(count) < survivors { return nil }
            return TreeChange(kind: Self.removal(key), key: key)
        }
    }

    /// Messages as the original writes them, one after the other for one key.
    mutating func foreignMessages(_ key: Key, for model: TreeModel) -> [TreeChange] {
        var changes: [TreeChange] = []
        var value = model.values[key]
        for _ in 0..<(1 + random.below(4)) {
            let change = foreignMessage(key, isPresent: value != nil, model)
            value = TreeModel.fold(change, value)
            changes.append(change)
        }
        return changes
    }

    private mutating func foreignMessage(
        _ key: Key, isPresent: Bool, _ model: TreeModel
    ) -> TreeChange {
        let kind = KeyKind(rawValue: key.bytes[0])
        // Now and then something that cannot be applied, which readers pass over.
        let mayChange = isPresent || random.chance(3)
        switch (kind, random.below(3)) {
        case (.entry, 0...1) where mayChange:
            let flags = UInt8(random.below(128))
            let sizes = [8, 4, 8, 8, 4, 4, 4]
            let count = (0..<7).reduce(0) { $0 + (flags >> $1 & 1 == 1 ? sizes[$1] : 0) }
            return TreeChange(kind: .wstat, key: key, payload: [flags] + random.bytes(count))
        case (.snapshot, 0...1) where mayChange:
            let kind: MessageKind = [.relink, .reprev, .incref][random.below(3)]
            return TreeChange(kind: kind, key: key, payload: random.bytes(8) + [1, 0xff])
        case (_, 2) where mayChange:
            return TreeChange(kind: .delete, key: key)
        case (.data, 1):
            return TreeChange(kind: .clearb, key: key)
        case (.entry, 1), (.up, 1):
            return TreeChange(kind: .clobber, key: key)
        default:
            return TreeChange(kind: .insert, key: key, payload: value(key, model.forest))
        }
    }
}
