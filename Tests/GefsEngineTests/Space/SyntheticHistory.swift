import GefsFormat

@testable import GefsEngine

/// Random labels, snapshots and blocks in memory, with the set of blocks that each snapshot holds:
/// slow, and right by construction.
struct SyntheticHistory {
    typealias Block = Int

    struct Record {
        var before: Generation?
        var base: Generation
        var held: Set<Block>
    }

    private(set) var records: [Generation: Record] = [:]
    private(set) var labels: [Int: (generation: Generation, isMutable: Bool)] = [:]
    private var births: [Block] = []
    private var nextGeneration: UInt64 = 1
    private var nextLabel = 0

    init() {
        births.append(0)
        records[.zero] = Record(before: nil, base: .zero, held: [0])
        labels[take()] = (.zero, false)
        fork(0)
    }

    private mutating func take() -> Int {
        nextLabel += 1
        return nextLabel - 1
    }

    private mutating func takeGeneration() -> Generation {
        nextGeneration += 1
        return Generation(rawValue: nextGeneration - 1)
    }

    func birth(_ block: Block) -> Generation { Generation(rawValue: UInt64(births[block])) }

    var held: Set<Block> { records.values.reduce(into: []) { $0.formUnion($1.held) } }

    func labelCount(_ generation: Generation) -> Int {
        labels.values.count { $0.generation == generation }
    }

    func forkCount(_ generation: Generation) -> Int {
        records.count { $0.key != .zero && $0.value.before == nil && $0.value.base == generation }
    }

    func after(_ generation: Generation) -> Generation? {
        records.first { $0.value.before == generation }?.key
    }

    func own(_ generation: Generation) -> Int {
        guard let record = records[generation] else { return 0 }
        return record.held.count { birth($0) > record.base }
    }

    // MARK: Changing

    mutating func fork(_ label: Int) {
        guard let (generation, _) = labels[label], let from = records[generation] else { return }
        let fork = takeGeneration()
        records[fork] = Record(before: nil, base: generation, held: from.held)
        labels[take()] = (fork, true)
    }

    mutating func snapshot(_ label: Int) {
        guard let (generation, _) = labels[label] else { return }
        labels[take()] = (generation, false)
    }

    /// A commit of a branch that replaced some blocks.
    mutating func commit(_ label: Int, using random: inout TreeRandom) {
        guard let (old, isMutable) = labels[label], isMutable, var record = records[old] else {
            return
        }
        let generation = takeGeneration()
        let kills = random.below(8)
        for _ in 0..<kills {
            // The newest blocks are replaced most.
            let recent = record.held.max { birth($0) < birth($1) }
            let other = random.chance(50) ? recent : record.held.randomElement(using: &random)
            if let other { record.held.remove(other) }
        }
        for _ in 0..<kills + random.below(4) {
            record.held.insert(births.count)
            births.append(Int(generation.rawValue))
        }
        labels[label] = (generation, true)
        if labelCount(old) > 0 || forkCount(old) > 0 || old == .zero {
            record.before = old
        } else {
            records[old] = nil
        }
        records[generation] = record
    }

    mutating func delete(_ label: Int) {
        guard labels.removeValue(forKey: label) != nil else { return }
        while let (generation, record) = records.first(where: {
            $0.key != .zero && labelCount($0.key) == 0 && forkCount($0.key) == 0
        }) {
            if let next = after(generation) { records[next]?.before = record.before }
            records[generation] = nil
        }
    }

    /// What the engine would know of it.
    func books() -> HistoryBooks {
        var entries: [Generation: HistoryBooks.Entry] = [:]
        for (generation, record) in records {
            var dead: [Generation: Int] = [:]
            if let before = record.before.flatMap({ records[$0] }) {
                for block in before.held.subtracting(record.held) where birth(block) > record.base {
                    dead[birth(block), default: 0] += 1
                }
            }
            entries[generation] = HistoryBooks.Entry(
                before: record.before, after: after(generation), base: record.base,
                labelCount: labelCount(generation), forkCount: forkCount(generation),
                dead: dead.map { DeadCount(birth: $0.key, blocks: $0.value, listBlocks: 1) }
                    .sorted { $0.birth < $1.birth })
        }
        return HistoryBooks(entries)
    }

    /// A history of some steps.
    static func random(steps: Int, using random: inout TreeRandom) -> SyntheticHistory {
        var history = SyntheticHistory()
        for _ in 0..<steps {
            let label = history.labels.keys.sorted().randomElement(using: &random) ?? 0
            let mutable = history.labels.filter(\.value.isMutable).keys.sorted()
            switch random.below(20) {
            case 0: history.fork(label)
            case 1..<6: history.snapshot(mutable.randomElement(using: &random) ?? label)
            case 6..<8: if label != 0 { history.delete(label) }
            default: history.commit(mutable.randomElement(using: &random) ?? label, using: &random)
            }
        }
        return history
    }
}
