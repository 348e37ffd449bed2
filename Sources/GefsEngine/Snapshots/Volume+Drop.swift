import GefsFormat

/// Taking apart what nothing needs any more. Source: FORMAT 8.4, "Drop".
extension Volume {
    /// Drops the records that the commit has released, and goes on with what earlier commits left.
    func dropReleased(_ work: CommitWork) throws(FileError) {
        dropQueue.append(contentsOf: work.takeReleased())
        isDropStalled = false
        var budget = options.pruneBlocksMax
        while budget > 0, let generation = dropQueue.first {
            guard
                let record = history.read({ graph in
                    graph.isDroppable(generation) ? graph.records[generation] : nil
                })
            else {
                dropQueue.removeFirst()
                continue
            }
            let isGone =
                if let next = history.read({ $0.successor(of: record) }) {
                    try drop(record, for: next, &budget, work)
                } else {
                    try dropTip(record, &budget, work)
                }
            guard isGone else { return }
            dropQueue.removeFirst()
            dropQueue.append(contentsOf: work.takeReleased())
        }
    }

    /// Whether blocks born in a generation are held by `before` or its predecessors.
    ///
    /// The first record of all holds only what ream made it of, and such blocks get onto no list.
    static func isHeld(birth: Generation, before: Generation) -> Bool {
        birth <= before && before != .zero
    }

    /// Takes a record out of its line; `next` is what came behind it.
    func replaceInLine(_ old: SnapshotRecord, by next: SnapshotRecord, _ work: CommitWork) {
        unlisted.move(from: old.generation, to: next.generation)
        history.change { graph in
            if var before = graph.records[old.predecessor], before.successor == old.generation {
                before.successor = next.generation
                graph.put(before)
            }
            var next = next
            next.predecessor = old.predecessor
            graph.remove(old.generation)
            graph.sizes[old.generation] = nil
            graph.put(next)
            // At once, so that nobody who looks meanwhile finds a label without its record.
            for name in graph.names(of: old.generation) {
                guard var label = graph.labels[name] else { continue }
                label.generation = next.generation
                graph.setLabel(name, label)
            }
        }
        work.touch(old.generation, next.generation)
        if !old.predecessor.isNone { work.touch(old.predecessor) }
        if old.base != old.predecessor, !old.base.isNone { work.touch(old.base) }
    }

    /// Drops a record in favour of its successor; false where that takes more than this commit.
    ///
    /// Until all of its lists have moved the record stays: what is on them lies before its own
    /// predecessor, so nothing is freed by them meanwhile.
    private func drop(
        _ record: SnapshotRecord, for next: SnapshotRecord, _ budget: inout Int,
        _ work: CommitWork
    ) throws(FileError) -> Bool {
        let before = history.read { $0.heldBefore(record) }
        try mendDeadlists(of: next, work)
        for list in try deadlists(of: record.generation)
        where list.birth < record.generation && Self.isHeld(birth: list.birth, before: before) {
            // Joining two lists takes a block.
            guard hasRoomForLists else {
                isDropStalled = budget == options.pruneBlocksMax
                return false
            }
            snapshots.removePresent(Key.deadlist(list.generation, birth: list.birth))
            try extendDeadlist(next.generation, list.birth, by: list.record, work)
            budget -= 1
        }
        replaceInLine(record, by: next, work)
        try inherit(from: record.generation, by: next.generation, before: before, work)
        budget -= 1
        return true
    }

    /// Whether lists may take blocks: what the rest of a commit needs is left to it.
    var hasRoomForLists: Bool {
        arenas.availableBlocksWithReserve > 48 + 4 * arenas.arenas.count
    }

    /// The deadlists of a dropped record go to its successor; of those, what only the dropped
    /// one still held is freed. Steps 2 and 3.
    ///
    /// - Parameter isNew: the successor is of this commit and has no lists yet, so that nothing
    ///   has to be looked up: a branch may have as many lists as there are snapshots before it.
    func inherit(
        from old: Generation, by next: Generation, before: Generation, isNew: Bool = false,
        _ work: CommitWork
    ) throws(FileError) {
        for list in try deadlists(of: old) {
            snapshots.removePresent(Key.deadlist(old, birth: list.birth))
            if list.birth >= old {
                // Upstream can leave lists of blocks that their own snapshot holds (FORMAT 8.4).
                discard(list.record, work)
            } else if Self.isHeld(birth: list.birth, before: before) {
                if isNew, !list.record.isEmpty {
                    snapshots.putNew(
                        Key.deadlist(next, birth: list.birth), list.record.encoded())
                } else {
                    try extendDeadlist(next, list.birth, by: list.record, work)
                }
            } else {
                try free(list.record, born: list.birth, work)
            }
        }
        if isNew { return }
        for list in try deadlists(of: next)
        where list.birth < next && !Self.isHeld(birth: list.birth, before: before) {
            snapshots.removePresent(Key.deadlist(next, birth: list.birth))
            try free(list.record, born: list.birth, work)
        }
    }

    /// Drops the last record of a line, or takes a piece off its tree; whether it is gone.
    ///
    /// Step 4. What is on the record's lists is held by its predecessor, so only the lists go.
    private func dropTip(
        _ record: SnapshotRecord, _ budget: inout Int, _ work: CommitWork
    ) throws(FileError) -> Bool {
        let before = history.read { $0.heldBefore(record) }
        var own = try ownBlocks(of: record, before, limit: budget, passesDamage: true)
        if !own.isComplete {
            if try shrink(record, removing: own.dataKeys, before, work) {
                budget -= own.blocks.count
                return false
            }
            // A node beside those that were read is damaged: all at once, then.
            own = try ownBlocks(of: record, before, limit: .max, passesDamage: true)
        }
        budget -= own.blocks.count
        if own.damagedNodes > 0 {
            log(
                "\(own.damagedNodes) nodes of dropped snapshot \(record.generation) cannot be read: "
                    + "what they alone refer to is lost until check --repair")
        }
        for address in own.blocks { drop(address, work) }
        for list in try deadlists(of: record.generation) {
            snapshots.removePresent(Key.deadlist(list.generation, birth: list.birth))
            discard(list.record, work)
        }
        unlisted.forget(record.generation)
        history.change { graph in
            if var before = graph.records[record.predecessor],
                before.successor == record.generation
            {
                before.successor = .none
                graph.put(before)
            }
            graph.remove(record.generation)
            graph.sizes[record.generation] = nil
        }
        work.touch(record.generation)
        if !record.predecessor.isNone { work.release(record.predecessor) }
        if !record.base.isNone, record.base != record.predecessor { work.release(record.base) }
        return true
    }

    /// Removes file data from a dropped tree, so that what is left fits one commit; false where the
    /// tree is damaged, and stays as it is.
    ///
    /// The record stays whole all the time: a crash finds a tree with holes in its files.
    private func shrink(
        _ record: SnapshotRecord, removing keys: [Key], _ before: Generation, _ work: CommitWork
    ) throws(FileError) -> Bool {
        let memtable = Memtable()
        for key in keys { key.withBytes { memtable.remove($0, presentBelow: true) } }
        let flush = TreeFlush(self, generation: record.generation)
        let root: TreeRoot
        do throws(TreeError) {
            root = try Tree.apply(
                memtable.makeBatch(),
                to: TreeRoot(pointer: record.root, height: Int(record.height)), target: flush,
                // In a buffer they would be no step forward.
                reachesLeaves: true)
        } catch {
            flush.abandon()
            switch error {
            case .read, .corrupt: return false
            case .volumeFull, .emptyTree: throw FileError(error)
            }
        }
        try flush.writeQueued()
        for pointer in flush.killed where isOwn(pointer, before) { drop(pointer.address, work) }
        history.change { graph in
            var smaller = record
            smaller.root = root.pointer
            smaller.height = UInt32(root.height)
            graph.put(smaller)
            graph.sizes[record.generation] = nil
        }
        work.touch(record.generation)
        return true
    }

    /// Whether a block that a record refers to is held by nothing before it in its line.
    func isOwn(_ pointer: BlockPointer, _ before: Generation) -> Bool {
        if pointer.generation > before { return true }
        return before == .zero && pointer.generation == .zero
            && !(firstBlocks?.contains(pointer.address) ?? true)
    }

    /// The blocks of generation 0, the first record of all: what ream shared between labels.
    ///
    /// Other blocks born in generation 0 belong to the tree of `adm` alone (SEMANTICS 12.32).
    func loadFirstBlocks() throws(FileError) {
        guard let first = history.record(.zero) else { return }
        let held = try ownBlocks(of: first, .none, limit: Self.firstBlocksMax)
        if held.isComplete { firstBlocks = Set(held.blocks) }
    }

    private static let firstBlocksMax = 10_000

    /// A block that only dropped snapshots held; passed over where a damaged disk cannot mean it.
    ///
    /// - Parameter birth: when it was born, or later, for what a list names. A tree that shrinks has
    ///   nodes that are younger than they say.
    func drop(
        _ address: BlockAddress, born birth: Generation = .none, _ work: CommitWork
    ) {
        guard isAllocated(address), retired[address] == nil, !isReused(address, since: birth) else {
            return
        }
        retired[address] = work.number
        work.dropped.append(RetiredBlock(address: address, afterCommit: work.number))
    }

    /// Whether a block from before the volume was opened has become free and holds something else: a
    /// disk that somebody has made up may name it twice.
    func isReused(_ address: BlockAddress, since birth: Generation) -> Bool {
        guard birth < firstGeneration, arenas.wasHandedOut(address) else { return false }
        log("block \(address) was to be freed twice: the disk is damaged")
        return true
    }

    /// Frees all blocks on a list, and those that hold the list. What is long goes bit by bit.
    private func free(
        _ record: DeadlistRecord, born birth: Generation, _ work: CommitWork
    ) throws(FileError) {
        guard record.head.address == record.tail.address else {
            return try addToBacklog(record, born: birth, work)
        }
        passChain(record, work) { block, address in
            for entry in block.deadAddresses { drop(entry, born: birth, work) }
            retireChecked(address, work)
        }
    }

    /// Frees the blocks of a list, but not what is on it.
    func discard(_ record: DeadlistRecord, _ work: CommitWork) {
        passChain(record, work) { _, address in retireChecked(address, work) }
    }
}

/// Blocks that a tree holds and its predecessor does not.
struct OwnBlocks {
    var blocks: [BlockAddress] = []
    /// Keys of file data that was met, as far as it is own.
    var dataKeys: [Key] = []
    var isComplete = true
    /// Nodes that could not be read: what lies below them is not known.
    var damagedNodes = 0
}

extension Volume {
    /// Walks what is own in a record's tree; nothing below a node that was born before is visited.
    ///
    /// - Parameters:
    ///   - limit: stops among the file data when so many blocks have been found.
    ///   - passesDamage: counts nodes that cannot be read, instead of failing.
    func ownBlocks(
        of record: SnapshotRecord, _ before: Generation, limit: Int, passesDamage: Bool = false
    ) throws(FileError) -> OwnBlocks {
        var own = OwnBlocks()
        let all = before.isNone
        var pending = [(pointer: record.root, height: Int(record.height))]
        // A damaged tree may refer to a node again and again, on each of many levels.
        var seen: Set<BlockAddress> = []
        while let (pointer, height) = pending.popLast() {
            guard all || isOwn(pointer, before), seen.insert(pointer.address).inserted else {
                continue
            }
            own.blocks.append(pointer.address)
            let node: BlockBuffer
            do throws(ReadError) {
                node = try Tree.readNode(
                    pointer, height: height, from: reader, mayBlock: true)
            } catch {
                guard passesDamage else { throw FileError(error) }
                // Whose block it is now, nobody knows.
                own.blocks.removeLast()
                own.damagedNodes += 1
                continue
            }
            func note(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
                guard key.first == KeyKind.data.rawValue, value.count >= BlockPointer.byteCount,
                    let base = value.baseAddress
                else { return }
                let data = BlockPointer(decoding: base)
                guard !data.address.isNone, all || isOwn(data, before) else { return }
                own.blocks.append(data.address)
                own.dataKeys.append(Key(key))
            }
            withExtendedLifetime(node) {
                if height == 1 {
                    let leaf = LeafView(unchecked: node.base)
                    for index in 0..<leaf.count { note(leaf.key(index), leaf.value(index)) }
                } else {
                    let pivot = PivotView(unchecked: node.base)
                    for index in 0..<pivot.messageCount {
                        let message = pivot.message(index)
                        if message.kind == .insert { note(message.key, message.payload) }
                    }
                    // Last in, first out: from the left, where the file data lies.
                    for index in (0..<pivot.childCount).reversed() {
                        pending.append((pivot.pointer(index), height - 1))
                    }
                }
            }
            if own.dataKeys.count > limit, !pending.isEmpty {
                own.isComplete = false
                return own
            }
        }
        return own
    }
}
