import GefsFormat
import Testing

@testable import GefsEngine

/// Lookups and scans: what they read, and what they make of damaged trees.
@Suite struct TreeReadTests {
    private func number(_ index: Int) -> Key {
        .config((0..<4).map { UInt8(truncatingIfNeeded: index >> (24 - 8 * $0)) })
    }

    /// Two levels, with a few messages in the root.
    private func model() throws -> TreeModel {
        let model = try TreeModel(purpose: .files, number(0), [0])
        try model.apply(
            (0..<4000).map {
                TreeChange(
                    kind: .insert, key: number($0), payload: [UInt8](repeating: 1, count: 99))
            })
        try model.apply([
            TreeChange(kind: .insert, key: number(50), payload: [7]),
            TreeChange(kind: .clobber, key: number(60)),
            TreeChange(kind: .clobber, key: number(70_000)),
        ])
        #expect(model.root.height == 2)
        return model
    }

    private func readCount(_ model: TreeModel, _ body: () throws -> Void) rethrows -> Int {
        let before = model.forest.readCount
        try body()
        return model.forest.readCount - before
    }

    @Test func `a lookup goes no deeper than to a message that decides`() throws {
        let model = try model()
        for (index, expected, reads) in [
            (50, [7], 1), (60, nil, 1), (61, [UInt8](repeating: 1, count: 99), 2),
        ] {
            var value: [UInt8]?
            let count = try readCount(model) { value = try model.lookup(number(index)) }
            #expect(value == expected)
            #expect(count == reads)
        }
    }

    @Test func `a scan reads each node once and stops at its end`() throws {
        let model = try model()
        let all = try readCount(model) { try model.checkScan() }
        #expect(all == model.forest.nodes.count)
        let range = try readCount(model) {
            try model.checkScan(from: number(100).bytes, before: number(110).bytes)
        }
        let prefix = try readCount(model) { try model.checkScan(prefix: number(100).bytes) }
        let behind = try readCount(model) { try model.checkScan(from: [9]) }
        #expect([range, prefix, behind] == [2, 2, 2])
    }

    @Test func `a prefix of all ones ends with the tree`() throws {
        let model = try model()
        try model.apply([
            TreeChange(kind: .insert, key: .config([255, 255, 255]), payload: [1]),
            TreeChange(kind: .insert, key: .config([255, 255]), payload: [2]),
        ])
        try model.checkScan(prefix: [6, 255, 255])
        try model.checkScan(prefix: [255])
        try model.checkScan(prefix: [])
    }

    @Test func `a lookup that must not wait says so`() throws {
        let model = try model()
        model.forest.uncached = Set(model.forest.nodes.keys)
        #expect(throws: ReadError.wouldBlock) {
            _ = try number(5).withBytes { (key) throws(ReadError) in
                try Tree.lookup(key, in: model.root, source: model.forest, mayBlock: false)
            }
        }
    }

    @Test func `a scan that must not wait goes on where it stopped`() throws {
        let model = try model()
        let all = Array(model.forest.nodes.keys).sorted()
        var random = TreeRandom(seed: 3)
        var scan = [UInt8]().withUnsafeBytes {
            Tree.Scan(root: model.root, source: model.forest, from: $0, mayBlock: false)
        }
        model.forest.uncached = Set(all)
        var found: [Key] = []
        var stops = 0
        while true {
            do throws(ReadError) {
                guard let item = try scan.next() else { break }
                found.append(Key(item.key))
            } catch {
                #expect(error == .wouldBlock)
                stops += 1
                model.forest.uncached.remove(all[random.below(all.count)])
                if random.chance(5) {
                    scan.mayBlock = true
                    if let item = try scan.next() { found.append(Key(item.key)) }
                    scan.mayBlock = false
                }
            }
        }
        #expect(stops > all.count / 2)
        #expect(found == model.values.keys.sorted())
    }

    @Test(arguments: [-1, 0, 1, 3, 64, 65, 1 << 40])
    func `a wrong height is an error`(height: Int) throws {
        let model = try model()
        let root = TreeRoot(pointer: model.root.pointer, height: height)
        #expect(throws: ReadError.self) {
            _ = try number(5).withBytes { (key) throws(ReadError) in
                try Tree.lookup(key, in: root, source: model.forest, mayBlock: true)
            }
        }
        var scan = [UInt8]().withUnsafeBytes {
            Tree.Scan(root: root, source: model.forest, from: $0, mayBlock: true)
        }
        #expect(throws: ReadError.self) { _ = try scan.next() }
        #expect(throws: TreeError.self) {
            _ = try Tree.apply(everything(), to: root, target: model.forest)
        }
        #expect(throws: Tree.Defect.self) {
            try Tree.checkInvariants(root, source: model.forest, purpose: .files)
        }
    }

    /// A pivot over the children of the model's root, changed by `edit`, under a new root pointer.
    private func damaged(
        _ model: TreeModel,
        _ edit: (_ index: Int, inout [UInt8], inout BlockPointer, inout Int) -> Void
    ) throws -> TreeRoot {
        let block = try model.forest.readNode(model.root.pointer)
        let pivot = PivotView(unchecked: block.base)
        let buffer = model.forest.newBuffer()
        var builder = PivotBuilder(block: buffer.base)
        for index in 0..<pivot.childCount {
            var key = Array(pivot.key(index))
            var pointer = pivot.pointer(index)
            var fill = pivot.childFill(index)
            edit(index, &key, &pointer, &fill)
            key.withUnsafeBytes { builder.appendChild(key: $0, pointer: pointer, fill: fill) }
        }
        builder.finish()
        return TreeRoot(pointer: try model.forest.writeNode(buffer), height: 2)
    }

    /// Changes that reach every leaf of the model.
    private func everything() -> MessageBatch {
        TreeModel.batch(
            (0..<4000).map {
                TreeChange(
                    kind: .insert, key: number($0), payload: [UInt8](repeating: 2, count: 99))
            })
    }

    private func expectDefect(_ root: TreeRoot, _ model: TreeModel) {
        #expect(throws: Tree.Defect.self) {
            try Tree.checkInvariants(root, source: model.forest, purpose: .files)
        }
        #expect(throws: TreeError.self) {
            _ = try Tree.apply(everything(), to: root, target: model.forest)
        }
        // Readers make of it what they can.
        var scan = [UInt8]().withUnsafeBytes {
            Tree.Scan(root: root, source: model.forest, from: $0, mayBlock: true)
        }
        while let _ = try? scan.next() {}
    }

    @Test func `a child of another fill than stated is found`() throws {
        let model = try model()
        try expectDefect(damaged(model) { index, _, _, fill in if index == 3 { fill += 1 } }, model)
    }

    @Test func `a child whose keys are out of its range is found`() throws {
        let model = try model()
        var first: BlockPointer?
        try expectDefect(
            damaged(model) { index, _, pointer, _ in
                if index == 2 { first = pointer }
                if index == 3, let first { pointer = first }
            }, model)
        try expectDefect(
            damaged(model) { index, key, _, _ in if index == 3 { key[4] += 1 } }, model)
    }

    @Test func `a pivot in the place of a leaf is found`() throws {
        let model = try model()
        let root = model.root.pointer
        try expectDefect(
            damaged(model) { index, _, pointer, _ in if index == 3 { pointer = root } }, model)
    }

    @Test func `keys of another purpose are found`() throws {
        let model = try model()
        try model.apply(
            [
                TreeChange(
                    kind: .insert, key: .label([65]), payload: [UInt8](repeating: 4, count: 13))
            ], checking: false)
        #expect(throws: Tree.Defect.self) {
            try Tree.checkInvariants(model.root, source: model.forest, purpose: .files)
        }
    }
}
