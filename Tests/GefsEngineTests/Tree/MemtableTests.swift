import GefsFormat
import Testing

@testable import GefsEngine

/// A memtable against an array.
@Suite struct MemtableTests {
    private struct Entry: Equatable {
        var value: [UInt8]?
        var isPresentBelow: Bool
    }

    private func put(_ table: Memtable, _ key: Key, _ value: [UInt8], below: Bool = false) {
        key.withBytes { key in
            value.withUnsafeBytes { table.put(key, $0, presentBelow: below) }
        }
    }

    private func remove(_ table: Memtable, _ key: Key, below: Bool = false) {
        key.withBytes { table.remove($0, presentBelow: below) }
    }

    /// Nil where nothing is known; a nil value where the key is removed.
    private func lookup(_ table: Memtable, _ key: Key) -> [UInt8]?? {
        switch key.withBytes({ table.lookup($0) }) {
        case .absent: nil
        case .removed: .some(nil)
        case .value(let bytes): .some(Array(bytes))
        }
    }

    private func items(_ table: Memtable, from start: [UInt8] = []) -> [(Key, Entry)] {
        var cursor = start.withUnsafeBytes { table.seek($0) }
        var items: [(Key, Entry)] = []
        while let item = table.next(&cursor) {
            var value: [UInt8]?
            if case .value(let bytes) = item.state { value = Array(bytes) }
            items.append((Key(item.key), Entry(value: value, isPresentBelow: item.isPresentBelow)))
        }
        return items
    }

    private func check(_ table: Memtable, _ model: [Key: Entry], from start: [UInt8] = []) {
        let found = items(table, from: start)
        let low = Key(bytes: start)
        let expected = model.filter { $0.key >= low }.sorted { $0.key < $1.key }
        #expect(found.map(\.0) == expected.map(\.key))
        #expect(found.map(\.1) == expected.map(\.value))
        #expect(table.count == model.count)
    }

    @Test(arguments: treeTestSeeds(6))
    func `random changes are found again in key order`(seed: UInt64) {
        print("memtable: GEFS_SEED=\(seed)")
        var random = TreeRandom(seed: seed)
        let table = Memtable()
        var model: [Key: Entry] = [:]
        let keys = (0..<4000).map { _ -> Key in
            // Many share their first 16 bytes, and some are prefixes of others.
            let start = [UInt8](repeating: 7, count: random.below(3) * 10)
            return Key(bytes: start + random.bytes(1 + random.below(3) * random.below(80)))
        }
        for step in 0..<20_000 {
            let key = keys[random.below(keys.count)]
            let below = random.chance(50)
            let first = model[key]?.isPresentBelow ?? below
            if random.chance(70) {
                let value = random.bytes(random.chance(10) ? 512 : random.below(64))
                put(table, key, value, below: below)
                model[key] = Entry(value: value, isPresentBelow: first)
            } else {
                remove(table, key, below: below)
                model[key] = Entry(value: nil, isPresentBelow: first)
            }
            if step % 4000 == 0 { check(table, model) }
        }
        check(table, model)
        for _ in 0..<20 { check(table, model, from: random.bytes(1 + random.below(4))) }
        for key in keys { #expect(lookup(table, key) == model[key].map(\.value)) }
    }

    @Test(arguments: [1, 2, 47, 48, 49, 96, 97, 1000, 3000])
    func `every order of arrival gives the same sequence`(count: Int) {
        let keys = (0..<count).map { Key.config([UInt8($0 >> 8), UInt8($0 & 255)]) }
        let orders = [
            keys, keys.reversed(),
            keys.enumerated().sorted { ($0.0 * 7919) % 1009 < ($1.0 * 7919) % 1009 }.map(\.1),
        ]
        for order in orders {
            let table = Memtable()
            for key in order { put(table, key, [1]) }
            #expect(items(table).map(\.0) == keys)
        }
    }

    @Test func `all orders of six keys give the same sequence`() {
        let keys: [Key] = [[1], [1, 0], [1, 0, 0], [1, 1], [2], [255]].map { Key(bytes: $0) }
        func permute(_ chosen: [Key], _ left: [Key]) {
            guard !left.isEmpty else {
                let table = Memtable()
                for key in chosen { put(table, key, key.bytes) }
                #expect(items(table).map(\.0) == keys)
                return
            }
            for index in left.indices {
                var rest = left
                let key = rest.remove(at: index)
                permute(chosen + [key], rest)
            }
        }
        permute([], keys)
    }

    @Test func `repeated changes of one key cost no memory`() {
        let table = Memtable()
        let key = Key.config([1])
        put(table, key, [UInt8](repeating: 0, count: 61))
        let before = table.byteCount
        for step in 0..<10_000 {
            put(table, key, [UInt8](repeating: UInt8(step & 255), count: 1 + step % 61))
            remove(table, key)
        }
        #expect(table.byteCount == before)
    }

    @Test func `a cursor meets keys that are added behind it`() {
        let table = Memtable()
        var model: Set<Key> = []
        var random = TreeRandom(seed: 9)
        for _ in 0..<200 {
            let key = Key.config(random.bytes(3))
            put(table, key, [])
            model.insert(key)
        }
        let start = Key.config([20])
        var cursor = start.withBytes { table.seek($0) }
        var last = start
        var isFirst = true
        while true {
            for _ in 0..<random.below(4) where model.count < 2000 {
                let key = Key.config(random.bytes(3))
                put(table, key, [])
                model.insert(key)
            }
            let expected = model.filter { isFirst ? $0 >= last : $0 > last }.min()
            let found = table.next(&cursor).map { Key($0.key) }
            #expect(found == expected)
            guard let found else { break }
            last = found
            isFirst = false
        }
        // At the end, too.
        let end = Key.config([255, 255, 255, 255])
        put(table, end, [])
        #expect(table.next(&cursor).map { Key($0.key) } == end)
    }

    @Test func `a batch has what changes the state below`() {
        let table = Memtable()
        let keys: [Key] = [
            .data(1, offset: 0), .entry(parent: 1, name: [65]), .up(1), .label([65]),
            .snapshot(Generation(rawValue: 4)), .config([65]),
        ]
        for key in keys { remove(table, key, below: true) }
        remove(table, .data(2, offset: 0), below: false)
        put(table, .config([66]), [5], below: true)
        let batch = table.makeBatch()
        let kinds = (0..<batch.count).map { batch.kind($0) }
        #expect(kinds == [.clearb, .clobber, .clobber, .delete, .delete, .delete, .insert])
        #expect((0..<batch.count).map { Key(batch.key($0)) } == keys + [.config([66])])
        #expect(Array(batch.payload(6)) == [5])
    }

    @Test func `blocks of data join a batch in key order and win`() {
        let table = Memtable()
        let size = UInt64(Geometry.blockBytes)
        remove(table, .data(1, offset: 0), below: true)
        remove(table, .data(1, offset: 2 * size), below: true)
        put(table, .entry(parent: 0, name: [65]), [1])
        func pointer(_ number: UInt64) -> BlockPointer {
            BlockPointer(
                address: BlockAddress(rawValue: number * size), hash: number,
                generation: .zero)
        }
        let blocks: [Memtable.PlacedBlock] = [
            (0, 9, pointer(1)), (1, 0, pointer(2)), (1, 1, pointer(3)), (3, 0, pointer(4)),
        ]
        let batch = table.makeBatch(addingData: blocks)
        #expect(
            (0..<batch.count).map { Key(batch.key($0)) } == [
                .data(0, offset: 9 * size), .data(1, offset: 0), .data(1, offset: size),
                .data(1, offset: 2 * size), .data(3, offset: 0), .entry(parent: 0, name: [65]),
            ])
        #expect(
            (0..<batch.count).map { batch.kind($0) } == [
                .insert, .insert, .insert, .clearb, .insert, .insert,
            ])
        let pointers = [0, 1, 2, 4].map { DataPointer.decode(batch.payload($0)) }
        #expect(pointers == [pointer(1), pointer(2), pointer(3), pointer(4)])
    }
}
