import GefsFormat
import Testing

@testable import GefsEngine

/// States of a changing tree, and what differs between any two of them.
private struct TreeHistory {
    var load: TreeWorkload
    let model: TreeModel
    var states: [(root: TreeRoot, values: [Key: [UInt8]])] = []

    init(seed: UInt64, keyCount: Int) throws {
        load = TreeWorkload(seed: seed, purpose: .files, keyCount: keyCount)
        model = try TreeModel(purpose: .files, Key.config([]), [1])
        model.forest.keepsKilled = true
        note()
    }

    private mutating func note() {
        states.append((model.root, model.values))
    }

    mutating func grow(steps: Int, foreign: Bool) throws {
        for step in 0..<steps {
            // Growing, mixed and shrinking times take turns.
            let percent = [95, 80, 50, 30][step * 8 / steps % 4]
            let size = 1 << load.random.below(10)
            let pattern = TreeWorkload.Pattern.allCases[load.random.below(3)]
            let changes =
                load.random.chance(4)
                ? load.sweep(model)
                : load.changes(count: size, inserts: percent, pattern, for: model)
            _ = try model.apply(changes, checking: false)
            if foreign {
                for _ in 0..<6 {
                    let key = load.keys[load.random.below(load.keys.count)]
                    let messages = load.foreignMessages(key, for: model)
                    _ = try model.plant(messages, atLevel: load.random.below(3))
                }
            }
            note()
        }
    }

    /// Compares two states, from `start` on and before `end`.
    func check(_ old: Int, _ new: Int, from start: Key? = nil, before end: Key? = nil) throws {
        let (before, after) = (states[old].values, states[new].values)
        var expected: [Key] = []
        for key in Set(before.keys).union(after.keys) where before[key] != after[key] {
            if let start, key < start { continue }
            if let end, !(key < end) { continue }
            expected.append(key)
        }
        expected.sort()
        var found: [Key] = []
        var isRight = true
        try delta(old, new).forEach(from: start?.bytes ?? [], before: end?.bytes) { item in
            let key = Key(item.key)
            found.append(key)
            if before[key] != item.old.map(Array.init) { isRight = false }
            if after[key] != item.new.map(Array.init) { isRight = false }
            return true
        }
        let isSame = found == expected
        #expect(isSame, "\(old) to \(new): \(found.count) keys, expected \(expected.count)")
        #expect(isRight, "\(old) to \(new): values")
    }

    func delta(_ old: Int, _ new: Int) -> TreeDelta<TestForest> {
        TreeDelta(old: states[old].root, new: states[new].root, source: model.forest)
    }
}

@Suite struct TreeDeltaTests {
    #if DEBUG
        private static let (stepCount, keyCount, seedCount) = (40, 3000, 3)
    #else
        private static let (stepCount, keyCount, seedCount) = (200, 12000, 12)
    #endif

    @Test(arguments: treeTestSeeds(seedCount), [false, true])
    func `random trees differ in what a comparison of all their keys finds`(
        seed: UInt64, foreign: Bool
    ) throws {
        print("tree delta: GEFS_SEED=\(seed)")
        var history = try TreeHistory(seed: seed, keyCount: Self.keyCount)
        try history.grow(steps: Self.stepCount, foreign: foreign)
        let count = history.states.count
        for new in 1..<count { try history.check(new - 1, new) }
        for _ in 0..<40 {
            let old = history.load.random.below(count)
            let new = history.load.random.below(count)
            try history.check(old, new)
            let bounds = (0..<2).map { _ in
                history.load.keys[history.load.random.below(history.load.keys.count)]
            }
            try history.check(old, new, from: bounds.min(), before: bounds.max())
        }
    }

    @Test func `nothing is read where two trees are one`() throws {
        var history = try TreeHistory(seed: 5, keyCount: 3000)
        try history.grow(steps: 10, foreign: false)
        let last = history.states.count - 1
        let before = history.model.forest.readCount
        try history.check(last, last)
        #expect(history.model.forest.readCount == before)
    }

    @Test func `a comparison ends when it is told to`() throws {
        var history = try TreeHistory(seed: 6, keyCount: 3000)
        try history.grow(steps: 20, foreign: false)
        var count = 0
        try history.delta(0, history.states.count - 1).forEach { _ in
            count += 1
            return count < 7
        }
        #expect(count == 7)
    }

    @Test func `data that was written again with the same contents is no difference`() throws {
        let model = try TreeModel(purpose: .files, Key.config([]), [1])
        model.forest.keepsKilled = true
        let key = Key.data(7, offset: 0)
        var pointer = model.forest.newData()
        _ = try model.apply(
            [TreeChange(kind: .insert, key: key, payload: Self.bytes(pointer))], checking: false)
        let old = model.root
        let hash = pointer.hash
        pointer = model.forest.newData()
        pointer.hash = hash
        _ = try model.apply(
            [TreeChange(kind: .insert, key: key, payload: Self.bytes(pointer))], checking: false)
        var count = 0
        try TreeDelta(old: old, new: model.root, source: model.forest).forEach { _ in
            count += 1
            return true
        }
        #expect(count == 0)
    }

    private static func bytes(_ pointer: BlockPointer) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: BlockPointer.byteCount) { bytes, count in
            if let base = bytes.baseAddress { pointer.encode(into: base) }
            count = BlockPointer.byteCount
        }
    }
}
