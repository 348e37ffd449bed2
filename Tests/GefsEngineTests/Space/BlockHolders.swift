import GefsFormat

@testable import GefsEngine

/// Which snapshot holds which blocks, found by walking all trees: what counts are compared with.
struct BlockHolders {
    private let graph: HistoryGraph
    private(set) var held: [Generation: Set<BlockAddress>] = [:]

    init(_ fileSystem: FileSystem) throws {
        let volume = fileSystem.volume
        graph = volume.history.snapshot()
        for (generation, record) in graph.records {
            let all = try volume.ownBlocks(of: record, .none, limit: .max)
            held[generation] = Set(all.blocks)
        }
    }

    /// Blocks of all trees.
    var all: Set<BlockAddress> { held.values.reduce(into: []) { $0.formUnion($1) } }

    func referenced(_ label: [UInt8]) -> Int {
        graph.labels[label].flatMap { held[$0.generation]?.count } ?? 0
    }

    /// Blocks that no snapshot would hold any more without these labels.
    func freed(deleting names: Set<[UInt8]>) -> Int {
        needed(without: []).subtracting(needed(without: names)).count
    }

    /// Blocks that labels need, but for these.
    private func needed(without names: Set<[UInt8]>) -> Set<BlockAddress> {
        var needed = Set(graph.labels.filter { !names.contains($0.key) }.map(\.value.generation))
        needed.insert(.zero)
        // A line needs what it was forked from.
        var todo = Array(needed)
        while let generation = todo.popLast() {
            guard let base = graph.records[generation]?.base, graph.records[base] != nil else {
                continue
            }
            if needed.insert(base).inserted { todo.append(base) }
        }
        return needed.reduce(into: []) { $0.formUnion(held[$1] ?? []) }
    }
}
