import GefsFormat

/// Dead blocks that found no place on a deadlist, because the disk was full: lists in memory.
///
/// Each list takes a block at least, and a commit on a full disk may need hundreds. They are
/// written down as soon as there is room. Forgotten by a crash before that, they leak when the
/// snapshot that still holds them goes.
struct UnlistedBlocks {
    /// By the snapshot that does not hold the blocks, then by the generation they were born in.
    private var lists: [Generation: [Generation: [BlockAddress]]] = [:]

    var isEmpty: Bool { lists.isEmpty }

    /// How many blocks there are.
    var count: Int { lists.values.reduce(0) { $1.values.reduce($0) { $0 + $1.count } } }

    mutating func add(_ addresses: [BlockAddress], _ generation: Generation, _ birth: Generation) {
        lists[generation, default: [:]][birth, default: []] += addresses
    }

    /// A snapshot is dropped: what it does not hold, its successor does not hold, either.
    mutating func move(from old: Generation, to next: Generation) {
        guard let moved = lists.removeValue(forKey: old) else { return }
        lists[next, default: [:]].merge(moved) { $0 + $1 }
    }

    /// The last snapshot of a line is dropped: its predecessor holds the blocks.
    mutating func forget(_ generation: Generation) {
        lists[generation] = nil
    }

    /// Takes all of them, in a fixed order.
    mutating func takeAll() -> [(generation: Generation, birth: Generation, [BlockAddress])] {
        defer { lists = [:] }
        return lists.sorted { $0.key < $1.key }.flatMap { list in
            list.value.sorted { $0.key < $1.key }.map { (list.key, $0.key, $0.value) }
        }
    }
}

extension Volume {
    /// Tries a last time to write down what found no place.
    func saveUnlisted() throws(FileError) {
        guard !isReadOnly, try onFlushThread({ !$0.unlisted.isEmpty }) else { return }
        try sync(evenIfClean: true)
        let left = try onFlushThread { $0.unlisted.count }
        if left > 0 { log("the disk is too full to note \(left) dead blocks: check --repair") }
    }

    /// Writes down what found no place before, as far as there is room now.
    func listUnlisted(_ work: CommitWork) throws(FileError) {
        guard !unlisted.isEmpty else { return }
        for (generation, birth, addresses) in unlisted.takeAll() {
            guard let record = history.record(generation) else { continue }
            let before = history.read { $0.heldBefore(record) }
            if !Self.isHeld(birth: birth, before: before) {
                // Those who held them have been dropped meanwhile.
                for address in addresses { drop(address, born: birth, work) }
            } else if hasRoomForLists {
                try extendDeadlist(generation, birth, by: addresses, work)
            } else {
                unlisted.add(addresses, generation, birth)
            }
        }
    }
}
