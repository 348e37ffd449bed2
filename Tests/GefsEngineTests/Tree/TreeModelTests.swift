import GefsFormat
import Testing

@testable import GefsEngine

#if DEBUG
    private let stepCount = 60
    private let keyCount = 3000
    private let seedCount = 2
#else
    private let stepCount = 400
    private let keyCount = 12000
    private let seedCount = 12
#endif

/// Random operations against a dictionary. `GEFS_SEED` repeats one run.
@Suite struct TreeModelTests {
    private static let seeds = treeTestSeeds(seedCount)

    private func run(_ purpose: Tree.Purpose, seed: UInt64, foreign: Bool) throws {
        print("tree model: GEFS_SEED=\(seed)")
        var load = TreeWorkload(seed: seed, purpose: purpose, keyCount: keyCount)
        let first = load.keys[keyCount / 2]
        var model = try TreeModel(purpose: purpose, Key.config([]), [1])
        try model.apply([
            TreeChange(kind: .insert, key: first, payload: load.value(first, model.forest))
        ])
        for step in 0..<stepCount {
            // Growing, mixed and shrinking times take turns.
            let percent = [95, 50, 4, 80][step * 12 / stepCount % 4]
            let size = 1 << load.random.below(percent == 50 ? 8 : 10)
            let pattern = TreeWorkload.Pattern.allCases[load.random.below(3)]
            let changes =
                load.random.chance(4)
                ? load.sweep(model)
                : load.changes(count: size, inserts: percent, pattern, for: model)
            guard try model.apply(changes) else { continue }
            if foreign {
                try plantForeign(&load, &model)
            } else {
                try model.forest.checkMessagesApply(model.root)
            }
            if step % 10 == 9 { try checkReading(&load, model) }
        }
        try removeEverything(&load, model)
    }

    private func plantForeign(_ load: inout TreeWorkload, _ model: inout TreeModel) throws {
        for _ in 0..<6 {
            let key = load.keys[load.random.below(keyCount)]
            let changes = load.foreignMessages(key, for: model)
            _ = try model.plant(changes, atLevel: load.random.below(3))
        }
        try model.check()
    }

    private func checkReading(_ load: inout TreeWorkload, _ model: TreeModel) throws {
        try model.checkLookups(load.keys)
        try model.checkScan()
        for _ in 0..<4 {
            let low = load.keys[load.random.below(keyCount)].bytes
            let high = load.keys[load.random.below(keyCount)].bytes
            try model.checkScan(from: low, before: high)
            try model.checkScan(prefix: Array(low.prefix(9)))
            try model.checkScan(prefix: Array(low.prefix(1 + load.random.below(12))), from: low)
        }
    }

    /// Down to a single pair, checking every step, and back.
    private func removeEverything(_ load: inout TreeWorkload, _ model: TreeModel) throws {
        let last = Key.config([])
        try model.apply([TreeChange(kind: .insert, key: last, payload: [1])])
        var left = model.values.keys.filter { $0 != last }.sorted()
        left.shuffle(using: &load.random)
        while !left.isEmpty {
            let part = left.suffix(1 + load.random.below(max(1, left.count / 3)))
            left.removeLast(part.count)
            try model.apply(
                part.map { TreeChange(kind: TreeWorkload.removal($0), key: $0) })
        }
        #expect(model.values.count == 1)
        try model.checkScan()
        let removal = [TreeChange(kind: .delete, key: last)]
        try model.apply(removal)
        try model.checkScan()
        try model.apply(
            load.changes(count: 2000, inserts: 100, .random, for: model))
        try model.checkScan()
    }

    @Test(arguments: seeds)
    func `a tree of files does what a dictionary does`(seed: UInt64) throws {
        try run(.files, seed: seed, foreign: false)
    }

    @Test(arguments: seeds)
    func `a tree of snapshots does what a dictionary does`(seed: UInt64) throws {
        try run(.snapshots, seed: seed, foreign: false)
    }

    @Test(arguments: seeds)
    func `messages of the original in file trees are kept in order`(seed: UInt64) throws {
        try run(.files, seed: seed, foreign: true)
    }

    @Test(arguments: seeds)
    func `messages of the original in snapshot trees are kept in order`(seed: UInt64) throws {
        try run(.snapshots, seed: seed, foreign: true)
    }
}
