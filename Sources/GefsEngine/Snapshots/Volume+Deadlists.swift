import GefsFormat

/// A deadlist as the snapshot tree knows it: blocks born in `birth` that `generation` does not
/// hold any more, but its predecessor does. Source: FORMAT 8.2, 8.3.
struct Deadlist {
    var generation: Generation
    var birth: Generation
    var record: DeadlistRecord
}

extension Volume {
    func deadlists(of generation: Generation) throws(FileError) -> [Deadlist] {
        var lists: [Deadlist] = []
        for pair in try snapshots.pairs(Key.deadlistPrefix(generation).bytes) {
            let key = pair.key.withUnsafeBytes { try? DecodedKey($0) }
            guard case .deadlist(let owner, let birth)? = key, owner == generation else {
                continue
            }
            let record = try snapshots.decode(pair.value) {
                (raw) throws(RecordError) in try DeadlistRecord(decoding: raw)
            }
            lists.append(Deadlist(generation: owner, birth: birth, record: record))
        }
        return lists
    }

    /// Adds blocks to the list (`generation`, `birth`).
    func extendDeadlist(
        _ generation: Generation, _ birth: Generation, by addresses: [BlockAddress],
        _ work: CommitWork
    ) throws(FileError) {
        guard !addresses.isEmpty else { return }
        let old = try deadlist(generation, birth)
        let record = try extendChain(old, addresses, work)
        try snapshots.put(Key.deadlist(generation, birth: birth), record.encoded())
    }

    /// Adds what is on a list, which ceases to be one of its own.
    func extendDeadlist(
        _ generation: Generation, _ birth: Generation, by list: DeadlistRecord,
        _ work: CommitWork
    ) throws(FileError) {
        let record = try join(try deadlist(generation, birth), list, work)
        guard !record.isEmpty else { return }
        try snapshots.put(Key.deadlist(generation, birth: birth), record.encoded())
    }

    private func deadlist(
        _ generation: Generation, _ birth: Generation
    ) throws(FileError) -> DeadlistRecord {
        guard let value = try snapshots.value(Key.deadlist(generation, birth: birth)) else {
            return DeadlistRecord(head: .none, tail: .none)
        }
        return try snapshots.decode(value) { (raw) throws(RecordError) in
            try DeadlistRecord(decoding: raw)
        }
    }

    /// One list of what is on two: the shorter one is copied onto the longer one.
    ///
    /// Nothing is changed in place, so a crash finds both as they were (FORMAT 9.5). A block is
    /// copied only into a list at least as long as its own, hence seldom.
    func join(
        _ left: DeadlistRecord, _ right: DeadlistRecord, _ work: CommitWork
    ) throws(FileError) -> DeadlistRecord {
        if left.isEmpty { return right }
        if right.isEmpty { return left }
        let isLeftShorter = isShorter(left, than: right, work)
        let (shorter, longer) = isLeftShorter ? (left, right) : (right, left)
        var addresses: [BlockAddress] = []
        passChain(shorter, work) { block, address in
            addresses += block.deadAddresses
            retireChecked(address, work)
        }
        return try extendChain(longer, addresses, work)
    }

    /// Whether a chain has no more blocks than another; both are walked only to the shorter's end.
    /// One that is broken counts as the longer one: it is not copied. Where both lead in circles,
    /// either will do.
    func isShorter(
        _ left: DeadlistRecord, than right: DeadlistRecord, _ work: CommitWork
    ) -> Bool {
        var (a, b) = (left.head.address, right.head.address)
        for _ in 0..<arenas.blockCount {
            if a == left.tail.address { return true }
            if b == right.tail.address { return false }
            guard let afterA = try? chainView(readChainBlock(a, work), a).next.address else {
                return false
            }
            guard let afterB = try? chainView(readChainBlock(b, work), b).next.address else {
                return true
            }
            if afterA.isNone { return true }
            if afterB.isNone { return false }
            (a, b) = (afterA, afterB)
        }
        return false
    }

    /// Passes the blocks of a chain that can be read. What lies behind one that cannot is lost: its
    /// blocks stay allocated, and nothing else suffers.
    func passChain(
        _ record: DeadlistRecord, _ work: CommitWork,
        _ body: (ChainBlockView, BlockAddress) -> Void
    ) {
        do throws(FileError) {
            try walkChain(record, work, body)
        } catch {
            log("a list of dead blocks is damaged, and what is behind it is lost: \(error)")
        }
    }

    /// Passes the blocks of a chain, newest first, until its tail.
    func walkChain(
        _ record: DeadlistRecord, _ work: CommitWork? = nil,
        _ body: (ChainBlockView, BlockAddress) -> Void
    ) throws(FileError) {
        var address = record.head.address
        var seen: Set<BlockAddress> = []
        while !address.isNone, seen.insert(address).inserted {
            let buffer = try readChainBlock(address, work)
            let view = try chainView(buffer, address)
            let next = view.next.address
            withExtendedLifetime(buffer) { body(view, address) }
            if address == record.tail.address { return }
            address = next
        }
    }

    /// A copy of a block of a list, which may be one that is not written yet.
    private func readChainBlock(
        _ address: BlockAddress, _ work: CommitWork?
    ) throws(FileError) -> BlockBuffer {
        let buffer = newBuffer()
        if let queued = work?.chainBlocks[address] {
            buffer.mutableBytes.copyMemory(from: queued.bytes)
            return buffer
        }
        guard isAllocated(address) else {
            throw .corrupt(CorruptBlock(address, .deadlist, .address(address)))
        }
        do throws(DeviceError) {
            try device.read(at: address.rawValue, into: buffer.mutableBytes)
        } catch {
            throw .device(error)
        }
        return buffer
    }

    /// Takes the first block off a chain: what is on it, and what is left.
    func takeHead(
        of record: inout DeadlistRecord, _ work: CommitWork
    ) throws(FileError) -> [BlockAddress] {
        let address = record.head.address
        let view = try readChainBlock(address, work)
        let block = try chainView(view, address)
        let entries = withExtendedLifetime(view) { block.deadAddresses }
        if address == record.tail.address || block.next.isNone {
            record = DeadlistRecord(head: .none, tail: .none)
        } else {
            record.head = block.next
        }
        return entries
    }

    private func chainView(
        _ buffer: BlockBuffer, _ address: BlockAddress
    ) throws(FileError) -> ChainBlockView {
        do throws(CorruptBlock) {
            return try ChainBlockView(checking: buffer.bytes, at: address, expecting: .deadlist)
        } catch {
            throw .corrupt(error)
        }
    }

    /// Adds addresses at the head of a chain: a copy of the head takes what fits, new blocks the
    /// rest. No block in place is written (FORMAT 9.5).
    func extendChain(
        _ record: DeadlistRecord, _ addresses: [BlockAddress], _ commit: CommitWork
    ) throws(FileError) -> DeadlistRecord {
        var record = record
        var rest = addresses[...]
        if !record.isEmpty, !rest.isEmpty {
            let old = record.head.address
            let isTail = old == record.tail.address
            // In front of a block that cannot be read come new ones, as with a full one.
            if let buffer = try? readChainBlock(old, commit),
                let view = try? chainView(buffer, old)
            {
                let next = isTail ? BlockPointer.none : view.next
                var builder = ChainBlockBuilder(continuing: buffer.base)
                if !builder.isFull {
                    fill(&builder, from: &rest)
                    builder.finish(kind: .deadlist, next: next)
                    record.head = try write(buffer, commit)
                    if isTail { record.tail = record.head }
                    retire(old, commit)
                }
            }
        }
        return try prepend(rest, to: record, commit)
    }

    /// Puts new blocks in front of a chain, none of whose blocks changes.
    func prepend(
        _ addresses: ArraySlice<BlockAddress>, to record: DeadlistRecord, _ commit: CommitWork
    ) throws(FileError) -> DeadlistRecord {
        var record = record
        var rest = addresses
        while !rest.isEmpty {
            let buffer = newBuffer()
            var builder = ChainBlockBuilder(block: buffer.base)
            fill(&builder, from: &rest)
            builder.finish(kind: .deadlist, next: record.head)
            record.head = try write(buffer, commit)
            if record.tail.isNone { record.tail = record.head }
        }
        return record
    }

    private func fill(_ builder: inout ChainBlockBuilder, from rest: inout ArraySlice<BlockAddress>)
    {
        while let first = rest.first, !builder.isFull, builder.append(first) {
            rest.removeFirst()
        }
    }

    /// Gives a chain block a place. Hashes in pointers to such blocks mean nothing (FORMAT 2).
    private func write(
        _ buffer: BlockBuffer, _ commit: CommitWork
    ) throws(FileError) -> BlockPointer {
        guard let address = allocateNode() else { throw .volumeFull }
        ChainBlockBuilder.seal(buffer.base, at: address)
        commit.queue.add(address, buffer)
        commit.chainBlocks[address] = buffer
        return BlockPointer(address: address, hash: 0, generation: .zero)
    }

    // MARK: Retiring

    /// A block that nothing uses once `commit` is durable.
    func retire(_ address: BlockAddress, _ commit: CommitWork) {
        if options.defect == .freesBeforeCommit { return freeEarly(address) }
        retired[address] = commit.number
        commit.retired.append(RetiredBlock(address: address, afterCommit: commit.number))
    }

    /// The defect of that name.
    private func freeEarly(_ address: BlockAddress) {
        cache.remove(address)
        free(address)
    }

    /// The same for an address that a disk names: passed over where it cannot be true.
    func retireChecked(_ address: BlockAddress, _ commit: CommitWork) {
        guard isAllocated(address), retired[address] == nil else { return }
        retire(address, commit)
    }
}

extension ChainBlockView {
    /// The addresses of a deadlist block that can be those of blocks.
    var deadAddresses: [BlockAddress] {
        (0..<addressCount).compactMap { try? deadAddress($0) }
    }
}
