import GefsFormat
import Testing

@testable import GefsEngine

/// Updates whose outcome is known in detail.
@Suite struct TreeUpdateTests {
    private static let anchor = Key.config([])

    private func model(_ purpose: Tree.Purpose = .files) throws -> TreeModel {
        try TreeModel(purpose: purpose, Self.anchor, [1])
    }

    private func insert(_ key: Key, _ value: [UInt8]) -> TreeChange {
        TreeChange(kind: .insert, key: key, payload: value)
    }

    private func number(_ index: Int) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: index >> (24 - 8 * $0)) }
    }

    private func data(_ model: TreeModel) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: BlockPointer.byteCount)
        let pointer = model.forest.newData()
        bytes.withUnsafeMutableBytes { bytes in
            if let base = bytes.baseAddress { pointer.encode(into: base) }
        }
        return bytes
    }

    // MARK: Shapes

    @Test func `ascending keys leave full leaves and full pivots behind`() throws {
        let model = try model()
        for batch in 0..<40 {
            try model.apply(
                (0..<1000).map { step in
                    insert(
                        .config([7] + number(batch * 1000 + step)),
                        [UInt8](repeating: 3, count: 60))
                }, checking: batch % 10 == 9)
        }
        let shape = model.forest.shape(model.root)
        #expect(shape.leafFill >= 97)
        #expect(shape.levels == [177, 1])
        try model.checkScan()
    }

    @Test func `one large batch of ascending keys makes the same tree`() throws {
        let model = try model()
        try model.apply(
            (0..<40_000).map {
                insert(.config([7] + number($0)), [UInt8](repeating: 3, count: 60))
            })
        let shape = model.forest.shape(model.root)
        #expect(shape.leafFill >= 98)
        #expect(shape.levels == [177, 1])
        #expect(model.forest.writeCount == 179)
    }

    @Test func `a file that grows between others leaves full leaves behind`() throws {
        let model = try model()
        try model.apply(
            (0..<4000).map {
                insert(
                    .entry(parent: UInt64($0), name: [65]),
                    number($0) + [UInt8](repeating: 0, count: 57))
            })
        for batch in 0..<60 {
            try model.apply(
                (0..<100).map {
                    insert(
                        .data(77, offset: UInt64((batch * 100 + $0) * Geometry.blockBytes)),
                        data(model))
                }, checking: batch % 20 == 0)
        }
        try model.check()
        // 6000 records of 47 bytes fill 18 leaves.
        let shape = model.forest.shape(model.root)
        #expect(shape.leafFill >= 90)
    }

    @Test func `random keys fill leaves to about two thirds`() throws {
        var random = TreeRandom(seed: 11)
        let model = try model()
        for batch in 0..<60 {
            try model.apply(
                Set((0..<300).map { _ in Key.config(random.bytes(12)) }).map {
                    insert($0, [UInt8](repeating: 3, count: 60))
                }, checking: batch == 59)
        }
        let shape = model.forest.shape(model.root)
        #expect((60...80).contains(shape.leafFill))
    }

    @Test func `each node on the way is written once`() throws {
        let model = try model()
        try model.apply(
            (0..<20_000).map { insert(.config(number($0)), [UInt8](repeating: 3, count: 60)) })
        let before = model.forest.writeCount
        let shape = model.forest.shape(model.root)
        // A change of every leaf that fits nowhere in between.
        try model.apply(
            (0..<20_000).map { insert(.config(number($0)), [UInt8](repeating: 4, count: 60)) })
        #expect(model.forest.writeCount - before == shape.levels.reduce(0, +))
    }

    @Test func `messages that fit the root's buffer cost one node`() throws {
        let model = try model()
        try model.apply(
            (0..<20_000).map { insert(.config(number($0)), [UInt8](repeating: 3, count: 60)) })
        let before = model.forest.writeCount
        try model.apply((0..<100).map { insert(.config(number($0 * 190)), [9]) })
        #expect(model.forest.writeCount - before == 1)
        #expect(model.forest.readCount > 0)
    }

    @Test func `removing all but one key of a high tree takes its levels away`() throws {
        // Long keys make pivots of few children, so that there are many levels.
        let model = try model(.snapshots)
        let prefix = [UInt8](repeating: 42, count: 240)
        let keys = (0..<45_000).map { Key.config(prefix + number($0)) }
        let value = [UInt8](repeating: 1, count: 512)
        try model.apply(keys.map { insert($0, value) })
        #expect(model.root.height == 4)
        // Whole subtrees with one key left, at the left edge, the right edge and in between.
        for (range, survivor) in [
            (0..<15_000, 0), (25_000..<45_000, 44_999), (15_000..<24_000, 20_000),
        ] {
            try model.apply(
                range.filter { $0 != survivor }.map { TreeChange(kind: .delete, key: keys[$0]) })
            try model.checkScan()
        }
        let left = model.values.keys.filter { $0 != keys[20_000] }
        try model.apply(left.map { TreeChange(kind: .delete, key: $0) })
        #expect(model.root.height == 1)
        #expect(model.forest.nodes.count == 1)
    }

    @Test(arguments: [1, 20, 250])
    func `every number of records is added and taken away one by one`(keyBytes: Int) throws {
        let value = [UInt8](repeating: 9, count: 512)
        let keys = (0..<70).map {
            Key.config([UInt8](repeating: 1, count: keyBytes) + [UInt8($0 * 37 % 70)])
        }
        let model = try model()
        for key in keys { try model.apply([insert(key, value)]) }
        try model.checkScan()
        for key in keys {
            try model.apply([TreeChange(kind: .delete, key: key)])
            try model.checkScan()
        }
        #expect(model.values.count == 1)
    }

    @Test func `no number of leaves makes a pivot of one child`() throws {
        let prefix = [UInt8](repeating: 42, count: 250)
        let value = [UInt8](repeating: 1, count: 512)
        // 21 records to a leaf, 26 leaves to a pivot and the first one, whose key is short.
        for leafCount in 24...56 {
            let model = try TreeModel(purpose: .files, .config([]), value)
            try model.apply(
                (1..<(21 * leafCount)).map { insert(.config(prefix + number($0)), value) })
            let isOnePivot = leafCount <= 27
            #expect(model.root.height == (isOnePivot ? 2 : 3))
        }
    }

    // MARK: Ownership

    @Test func `a data pointer that is replaced in a leaf dies once`() throws {
        let model = try model()
        let key = Key.data(5, offset: 0)
        try model.apply([insert(key, data(model))])
        try model.apply([insert(key, data(model))])
        #expect(model.forest.data.count == 1)
        try model.apply([TreeChange(kind: .clearb, key: key)])
        #expect(model.forest.data.isEmpty)
    }

    @Test func `a data pointer that replaces itself stays alive`() throws {
        let model = try model()
        let key = Key.data(5, offset: 0)
        let value = data(model)
        try model.apply([insert(key, value)])
        try model.apply([insert(key, value)])
        #expect(model.forest.data.count == 1)
    }

    @Test func `a data pointer that is replaced in a buffer dies at once`() throws {
        let model = try model()
        try model.apply(
            (0..<20_000).map { insert(.config(number($0)), [UInt8](repeating: 3, count: 60)) })
        let key = Key.data(5, offset: 0)
        try model.apply([insert(key, data(model))])
        try model.apply([insert(key, data(model))])
        #expect(model.forest.data.count == 1)
        #expect(model.root.height == 2)
        try model.apply([TreeChange(kind: .clearb, key: key)])
        #expect(model.forest.data.isEmpty)
    }

    // MARK: Failure

    @Test func `an update that would leave nothing is refused`() throws {
        let model = try model()
        #expect(try !model.apply([TreeChange(kind: .clobber, key: Self.anchor)]))
        #expect(model.values.count == 1)
        try model.check()
    }

    @Test func `removals of absent keys leave a leaf as it is`() throws {
        let model = try model()
        let root = model.root
        try model.apply([TreeChange(kind: .clobber, key: .entry(parent: 1, name: [65]))])
        #expect(model.root == root)
    }

    @Test func `an update that fails at any step leaves the old tree`() throws {
        var random = TreeRandom(seed: 5)
        let model = try model()
        try model.apply(
            (0..<1500).map { _ in insert(.config(random.bytes(20)), random.bytes(100)) })
        let root = model.root
        var steps = 0
        var isDone = false
        while !isDone {
            let changes = (0..<1000).map { _ in insert(.config(random.bytes(20)), [1]) }
            model.forest.stepsLeft = steps
            do throws(TreeError) {
                _ = try Tree.apply(TreeModel.batch(changes), to: root, target: model.forest)
                isDone = true
            } catch {
                #expect(error == .volumeFull)
            }
            model.forest.abandon()
            model.forest.stepsLeft = .max
            model.forest.checkAccount(root)
            steps += 1
        }
        #expect(steps > 20)
        try model.checkScan()
    }
}
