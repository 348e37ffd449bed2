import GefsFormat

/// Labels, snapshots and deadlists as of the last commit, held: while this is referenced no block
/// becomes free, so everything that they refer to stays readable.
final class CommittedHistory: @unchecked Sendable {
    let volume: Volume
    let graph: HistoryGraph
    private let tree: TreeVersion
    private let counter: TreeCounter
    /// Sizes that were counted here.
    private var counted: [Generation: TreeSize] = [:]

    /// The root of the snapshot tree.
    var root: TreeRoot { tree.root }

    /// Made on the flush thread, between two commits.
    init(_ volume: Volume) {
        self.volume = volume
        graph = volume.history.snapshot()
        tree = volume.snapshots.version
        counter = TreeCounter(volume.reader)
        volume.lock.locked { volume.pins += 1 }
    }

    deinit {
        volume.lock.locked { volume.pins -= 1 }
    }

    // MARK: Trees

    /// Blocks of a snapshot's tree. Where nobody has counted them while they were written, the
    /// tree is walked.
    func size(_ generation: Generation) throws(FileError) -> TreeSize {
        if let known = graph.sizes[generation] ?? counted[generation] { return known }
        guard let record = graph.records[generation] else {
            return TreeSize(referenced: 0, own: 0)
        }
        let size = try counter.size(of: record)
        counted[generation] = size
        return size
    }

    /// Blocks that only the snapshot's line holds.
    func own(_ generation: Generation) throws(FileError) -> Int {
        guard let record = graph.records[generation] else { return 0 }
        guard record.base == .zero || generation == .zero else {
            if let known = graph.sizes[generation] ?? counted[generation] { return known.own }
            return try counter.own(of: record)
        }
        // Ream gives some trees blocks born in generation 0 that the first one does not hold
        // (SEMANTICS 12.32). It is a single leaf, and shared whole if at all.
        if generation != .zero, record.root == graph.records[.zero]?.root { return 0 }
        return try size(generation).referenced
    }

    /// Remembers what was counted, so that nobody has to do it again.
    func keepCounts() {
        guard !counted.isEmpty else { return }
        let sizes = counted
        _ = try? volume.onFlushThread { $0.learn(sizes) }
    }

    // MARK: Deadlists

    /// Reads how much is on all deadlists.
    func deadCounts() throws(FileError) -> [Generation: [DeadCount]] {
        var result: [Generation: [DeadCount]] = [:]
        let known = volume.snapshots.deadlistCounts
        for list in try deadlists() {
            let count: DeadCount
            if let cached = known.count(of: list) {
                count = cached
            } else {
                count = try read(list)
                known.note(count, of: list)
            }
            result[list.generation, default: []].append(count)
        }
        return result
    }

    func deadlists() throws(FileError) -> [Deadlist] {
        var lists: [Deadlist] = []
        let prefix = Key.prefix(.deadlist)
        do throws(ReadError) {
            var scan = prefix.bytes.withUnsafeBytes {
                Tree.Scan(root: tree.root, source: volume.reader, prefix: $0, mayBlock: true)
            }
            while let item = try scan.next(), item.key.first == KeyKind.deadlist.rawValue {
                guard case .deadlist(let generation, let birth)? = try? DecodedKey(item.key),
                    let record = try? DeadlistRecord(decoding: item.value)
                else { continue }
                lists.append(Deadlist(generation: generation, birth: birth, record: record))
            }
        } catch {
            throw FileError(error)
        }
        return lists
    }

    private func read(_ list: Deadlist) throws(FileError) -> DeadCount {
        var count = DeadCount(birth: list.birth, blocks: 0, listBlocks: 0)
        try forEachBlock(of: list.record) { view in
            count.blocks += view.addressCount
            count.listBlocks += 1
        }
        return count
    }

    /// Passes the blocks of a chain, newest first, up to its tail.
    func forEachBlock(
        of record: DeadlistRecord, _ body: (ChainBlockView) -> Void
    ) throws(FileError) {
        let buffer = volume.newBuffer()
        var address = record.head.address
        var seen: Set<BlockAddress> = []
        while !address.isNone, seen.insert(address).inserted {
            let next: BlockAddress
            do throws(DeviceError) {
                try volume.device.read(at: address.rawValue, into: buffer.mutableBytes)
            } catch {
                throw .device(error)
            }
            do throws(CorruptBlock) {
                let view = try ChainBlockView(
                    checking: buffer.bytes, at: address, expecting: .deadlist)
                next = try view.address == record.tail.address ? .none : view.checkedNext()
                body(view)
            } catch {
                throw .corrupt(error)
            }
            address = next
        }
    }
}

extension Volume {
    /// The history as of the last commit, held.
    func committedHistory() throws(FileError) -> CommittedHistory {
        try onFlushThread { CommittedHistory($0) }
    }

    /// Takes over sizes of trees that somebody has counted; the next commit writes them down.
    /// Flush thread only.
    func learn(_ sizes: [Generation: TreeSize]) {
        history.change { graph in
            for (generation, size) in sizes where graph.records[generation] != nil {
                graph.sizes[generation] = size
            }
        }
        for branch in lock.locked({ Array(branches.values) }) {
            for (generation, size) in sizes { branch.size.learn(size, of: generation) }
        }
        countedSizes.formUnion(sizes.keys)
        lock.locked { requests.hasUncommitted = true }
    }
}
