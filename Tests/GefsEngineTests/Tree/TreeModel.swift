import GefsFormat
import Testing

@testable import GefsEngine

/// A change of one key in a batch.
struct TreeChange {
    var kind: MessageKind
    var key: Key
    var payload: [UInt8] = []
}

/// A tree and what it should contain.
final class TreeModel {
    let forest = TestForest()
    let purpose: Tree.Purpose
    private(set) var root: TreeRoot
    private(set) var values: [Key: [UInt8]] = [:]

    /// A tree of one pair.
    init(purpose: Tree.Purpose, _ key: Key, _ value: [UInt8]) throws {
        self.purpose = purpose
        root = try forest.plant(key, value)
        values[key] = value
    }

    static func batch(_ changes: [TreeChange]) -> MessageBatch {
        let batch = MessageBatch()
        for change in changes.sorted(by: { $0.key < $1.key }) {
            change.key.withBytes { key in
                change.payload.withUnsafeBytes {
                    batch.append(kind: change.kind, key: key, payload: $0)
                }
            }
        }
        return batch
    }

    /// Brings changes into the tree and checks the result. False if nothing was changed because
    /// the tree would have become empty.
    @discardableResult
    func apply(_ changes: [TreeChange], checking: Bool = true) throws -> Bool {
        var next = values
        for change in changes { next[change.key] = Self.fold(change, values[change.key]) }
        do throws(TreeError) {
            root = try Tree.apply(Self.batch(changes), to: root, target: forest)
        } catch {
            forest.abandon()
            guard error == .emptyTree else { throw error }
            #expect(next.isEmpty)
            return false
        }
        forest.accept()
        values = next
        if checking { try check() }
        return true
    }

    /// What a message makes of a value, leniently.
    static func fold(_ change: TreeChange, _ value: [UInt8]?) -> [UInt8]? {
        change.key.withBytes { key in
            change.payload.withUnsafeBytes { payload in
                withUnsafeTemporaryAllocation(byteCount: 512, alignment: 8) { scratch in
                    let message = MessageView(kind: change.kind, key: key, payload: payload)
                    guard let value else {
                        return ReaderFold.apply(message, to: nil, scratch: scratch).map(Array.init)
                    }
                    return value.withUnsafeBytes {
                        ReaderFold.apply(message, to: $0, scratch: scratch).map(Array.init)
                    }
                }
            }
        }
    }

    func check() throws {
        try Tree.checkInvariants(root, source: forest, purpose: purpose)
        forest.checkAccount(root)
    }

    func lookup(_ key: Key) throws -> [UInt8]? {
        try key.withBytes { (bytes) throws(ReadError) in
            try Tree.lookup(bytes, in: root, source: forest, mayBlock: true)
        }
    }

    /// Compares every key of the model, and the given absent ones, with a lookup.
    func checkLookups(_ others: [Key] = []) throws {
        for (key, value) in values where try lookup(key) != value {
            Issue.record("lookup of \(key) differs")
            return
        }
        for key in others where try lookup(key) != values[key] {
            Issue.record("lookup of \(key) differs")
            return
        }
    }

    /// Compares a scan from `start`, as far as `end`, with the model.
    func checkScan(from start: [UInt8] = [], before end: [UInt8]? = nil) throws {
        var scan = start.withUnsafeBytes { start in
            guard let end else {
                return Tree.Scan(root: root, source: forest, from: start, mayBlock: true)
            }
            return end.withUnsafeBytes {
                Tree.Scan(root: root, source: forest, from: start, before: $0, mayBlock: true)
            }
        }
        let low = Key(bytes: start)
        let high = end.map { Key(bytes: $0) }
        let expected = values.keys.filter { key in key >= low && (high.map { key < $0 } ?? true) }
        try compare(&scan, expected)
    }

    /// Compares a scan of a prefix with the model.
    func checkScan(prefix: [UInt8], from start: [UInt8]? = nil) throws {
        var scan = prefix.withUnsafeBytes { prefix in
            guard let start else {
                return Tree.Scan(root: root, source: forest, prefix: prefix, mayBlock: true)
            }
            return start.withUnsafeBytes {
                Tree.Scan(root: root, source: forest, prefix: prefix, from: $0, mayBlock: true)
            }
        }
        let low = start.map { Key(bytes: $0) }
        let expected = values.keys.filter { key in
            key.bytes.starts(with: prefix) && (low.map { key >= $0 } ?? true)
        }
        try compare(&scan, expected)
    }

    private func compare(_ scan: inout Tree.Scan<TestForest>, _ expected: [Key]) throws {
        for key in expected.sorted() {
            guard let item = try scan.next() else {
                Issue.record("the scan ends before \(key)")
                return
            }
            guard item.key.elementsEqual(key.bytes), values[key]?.elementsEqual(item.value) == true
            else {
                Issue.record("the scan has \(Array(item.key)) where \(key.bytes) should be")
                return
            }
        }
        #expect(try scan.next() == nil)
    }
}

// MARK: Messages of the original

extension TreeModel {
    /// Puts messages for one key into the buffer of a pivot on the way to it, as a disk of the
    /// original may hold them. False if there is no room, or the tree has no pivot.
    func plant(_ kinds: [TreeChange], atLevel level: Int) throws -> Bool {
        guard root.height > 1, let key = kinds.first?.key,
            let planted = try plant(kinds, key, root.pointer, root.height, level)
        else {
            forest.abandon()
            return false
        }
        root.pointer = planted.pointer
        forest.accept()
        for change in kinds { values[key] = Self.fold(change, values[key]) }
        return true
    }

    private func plant(
        _ changes: [TreeChange], _ key: Key, _ pointer: BlockPointer, _ height: Int, _ level: Int
    ) throws -> (pointer: BlockPointer, fill: Int)? {
        let block = try forest.readNode(pointer)
        let pivot = PivotView(unchecked: block.base)
        let place = key.withBytes { pivot.messages(for: $0).range }
        let child = key.withBytes { pivot.childIndex(for: $0) }
        let isBelowFirst = key.withBytes { compareKeys($0, pivot.key(0)) < 0 }
        // Messages further down would be older than those in this buffer.
        let goesDown = level > 0 && height > 2 && place.isEmpty && !isBelowFirst
        var below: (pointer: BlockPointer, fill: Int)?
        if goesDown {
            below = try plant(changes, key, pivot.pointer(child), height - 1, level - 1)
            guard below != nil else { return nil }
        }
        let buffer = forest.newBuffer()
        var builder = PivotBuilder(block: buffer.base)
        for index in 0..<pivot.childCount {
            let changed = index == child ? below : nil
            builder.appendChild(
                key: pivot.key(index), pointer: changed?.pointer ?? pivot.pointer(index),
                fill: changed?.fill ?? pivot.childFill(index))
        }
        for index in 0..<place.upperBound { builder.appendMessage(pivot.message(index)) }
        if !goesDown {
            for change in changes {
                guard
                    builder.fitsMessage(
                        keyBytes: key.bytes.count, payloadBytes: change.payload.count + 2000)
                else { return nil }
                key.withBytes { key in
                    change.payload.withUnsafeBytes {
                        builder.appendMessage(kind: change.kind, key: key, payload: $0)
                    }
                }
            }
        }
        for index in place.upperBound..<pivot.messageCount {
            let message = pivot.message(index)
            guard
                builder.fitsMessage(
                    keyBytes: message.key.count, payloadBytes: message.payload.count)
            else { return nil }
            builder.appendMessage(message)
        }
        withExtendedLifetime(block) {}
        let fill = builder.finish()
        forest.killNode(pointer)
        return (try forest.writeNode(buffer), fill)
    }
}
