import GefsFormat
import Testing

@testable import GefsEngine

struct HistoryBooksTests {
    @Test(arguments: treeTestSeeds(40))
    func `deletions free what the books say, label by label and as a set`(seed: UInt64) throws {
        var random = TreeRandom(seed: seed)
        var history = SyntheticHistory.random(steps: 60, using: &random)
        while history.labels.count > 1 {
            let books = history.books()
            let before = history
            let own: OwnCount = { before.own($0) }
            let names = history.labels.keys.filter { $0 != 0 }.sorted()
            let alone = try books.freedAlone(
                names.compactMap { history.labels[$0]?.generation }, own: own)
            for name in names {
                var copy = history
                copy.delete(name)
                let freed = history.held.subtracting(copy.held).count
                let generation = try #require(history.labels[name]?.generation)
                #expect(alone[generation]?.blocks == freed, "seed \(seed), label \(name)")
            }
            let set = names.filter { _ in random.chance(40) }.shuffled(using: &random)
            let said = try books.freed(
                deleting: set.compactMap { history.labels[$0]?.generation }, own: own)
            for name in set { history.delete(name) }
            let freed = before.held.subtracting(history.held).count
            #expect(said.blocks == freed, "seed \(seed), labels \(set)")
            let gone = Set(before.records.keys).subtracting(history.records.keys)
            #expect(Set(said.dropped) == gone)
            for _ in 0..<random.below(6) {
                let label = history.labels.keys.sorted().randomElement(using: &random) ?? 0
                history.commit(label, using: &random)
            }
        }
    }

    @Test(arguments: treeTestSeeds(20))
    func `lines say for each block who holds it`(seed: UInt64) throws {
        var random = TreeRandom(seed: seed)
        let history = SyntheticHistory.random(steps: 80, using: &random)
        let books = history.books()
        for start in books.lineStarts {
            let line = try SnapshotLine(books, from: start, tailStart: { _ in 0 }) {
                history.own($0)
            }
            var found: [ClosedRange<Int>: Int] = [:]
            for stretch in line.stretches { found[stretch.places, default: 0] += stretch.blocks }
            var expected: [ClosedRange<Int>: Int] = [:]
            let base = try #require(history.records[start]?.base)
            let all = line.snapshots.reduce(into: Set<Int>()) {
                $0.formUnion(history.records[$1]?.held ?? [])
            }
            for block in all where history.birth(block) > base {
                let places = line.snapshots.indices.filter {
                    history.records[line.snapshots[$0]]?.held.contains(block) ?? false
                }
                let first = try #require(places.first)
                let last = try #require(places.last)
                #expect(places.count == last - first + 1)
                expected[first...last, default: 0] += 1
            }
            #expect(found == expected, "seed \(seed), line \(start)")
        }
    }

    @Test(arguments: treeTestSeeds(30))
    func `a plan frees enough, and no smaller set of its kind does`(seed: UInt64) throws {
        var random = TreeRandom(seed: seed)
        let history = SyntheticHistory.random(steps: 70, using: &random)
        let books = history.books()
        let own: OwnCount = { history.own($0) }
        var costs: [Generation: Int] = [:]
        for (generation, record) in books.entries where generation != .zero {
            let names = history.labels.values.filter { $0.generation == generation }
            if record.forkCount == 0, !names.contains(where: \.isMutable) {
                costs[generation] = names.count
            }
        }
        let stretches = try Thinning.stretches(books, costs: costs, own: own)
        func freed(_ snapshots: some Sequence<Generation>) throws -> Int {
            try books.freed(
                deleting: snapshots.flatMap { Array(repeating: $0, count: costs[$0] ?? 0) },
                own: own
            ).blocks
        }
        // Lines that go as a whole may take what they were forked from with them: more than this.
        let most = stretches.reduce(0) { $0 + $1.blocks(in: 0...$1.costs.count - 1) }
        #expect(try freed(costs.keys.sorted()) >= most)
        let needs = [1, most / 4, most / 2, most].filter { $0 > 0 && $0 <= most }
        for need in needs {
            let plan = try #require(ThinningPlan(stretches, freeing: need))
            #expect(plan.blocks >= need)
            #expect(try freed(plan.snapshots) >= plan.blocks)
            // The best single run is one of the sets that the plan could have chosen.
            let single = stretches.flatMap { stretch in
                stretch.costs.indices.flatMap { first in
                    (first..<stretch.costs.count).filter { last in
                        stretch.blocks(in: first...last) >= need
                    }.map { stretch.cost(of: first...$0) }
                }
            }
            if let cheapest = single.min(), need == most / 2 {
                #expect(plan.cost <= 2 * cheapest + 1, "seed \(seed)")
            }
        }
        #expect(ThinningPlan(stretches, freeing: most + 1) == nil)
    }

    @Test func `a large file that many snapshots share is found`() throws {
        // Snapshots 1 to 30; a file of 1000 blocks born in 10 died in 20; each has 1 of its own.
        var entries: [Generation: HistoryBooks.Entry] = [:]
        func generation(_ number: Int) -> Generation { Generation(rawValue: UInt64(number)) }
        for number in 1...30 {
            var dead: [DeadCount] = []
            if number > 1 {
                dead.append(DeadCount(birth: generation(number - 1), blocks: 1, listBlocks: 1))
            }
            if number == 20 {
                dead.insert(DeadCount(birth: generation(10), blocks: 1000, listBlocks: 1), at: 0)
            }
            entries[generation(number)] = HistoryBooks.Entry(
                before: number > 1 ? generation(number - 1) : nil,
                after: number < 30 ? generation(number + 1) : nil, base: .zero, labelCount: 1,
                forkCount: 0, dead: dead)
        }
        let books = HistoryBooks(entries)
        let costs = Dictionary(uniqueKeysWithValues: (1...29).map { (generation($0), 1) })
        let stretches = try Thinning.stretches(books, costs: costs) { _ in 500 }
        let large = try #require(ThinningPlan(stretches, freeing: 900))
        #expect(large.snapshots == (10...19).map(generation))
        let small = try #require(ThinningPlan(stretches, freeing: 3))
        #expect(small.cost == 3)
    }
}
