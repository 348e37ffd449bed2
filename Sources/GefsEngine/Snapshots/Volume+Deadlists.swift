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

    /// Moves a list to (`generation`, `birth`) and adds blocks to it.
    func extendDeadlist(
        _ generation: Generation, _ birth: Generation, from list: Deadlist?,
        _ addresses: [BlockAddress], _ commit: CommitWork
    ) throws(FileError) {
        var record = list?.record ?? DeadlistRecord(head: .none, tail: .none)
        if !addresses.isEmpty {
            record = try extendChain(record, addresses, commit)
        }
        if let list {
            try snapshots.remove(Key.deadlist(list.generation, birth: list.birth))
        }
        guard !record.isEmpty else { return }
        try snapshots.put(Key.deadlist(generation, birth: birth), record.encoded())
    }

    /// Frees all blocks on a list, and those that hold the list.
    ///
    /// Upstream can leave lists of blocks that the list's own snapshot holds (FORMAT 8.4); what
    /// is free already is passed over, and a list born when it died keeps its blocks.
    func free(_ list: Deadlist, _ commit: CommitWork) throws(FileError) {
        let isSound = list.birth < list.generation
        try walkChain(list.record) { block, address in
            if isSound {
                for index in 0..<block.addressCount {
                    if let entry = try? block.deadAddress(index) { retireChecked(entry, commit) }
                }
            }
            retireChecked(address, commit)
        }
    }

    /// Passes the blocks of a chain, newest first, until its tail.
    func walkChain(
        _ record: DeadlistRecord, _ body: (ChainBlockView, BlockAddress) -> Void
    ) throws(FileError) {
        var address = record.head.address
        var seen: Set<BlockAddress> = []
        while !address.isNone, seen.insert(address).inserted {
            let buffer = try readChainBlock(address)
            let view = try chainView(buffer, address)
            body(view, address)
            if address == record.tail.address { return }
            address = view.next.address
        }
    }

    private func readChainBlock(_ address: BlockAddress) throws(FileError) -> BlockBuffer {
        let buffer = newBuffer()
        guard isAllocated(address) else {
            throw .corrupt(CorruptBlock(address, .deadlist, .address(address)))
        }
        do throws(DeviceError) {
            try device.read(
                at: address.rawValue,
                into: UnsafeMutableRawBufferPointer(
                    start: buffer.base, count: Geometry.blockBytes))
        } catch {
            throw .device(error)
        }
        return buffer
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
        if !record.isEmpty {
            let old = record.head.address
            let buffer = try readChainBlock(old)
            let view = try chainView(buffer, old)
            let isTail = old == record.tail.address
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
        commit.queue.add(address, buffer)
        return BlockPointer(address: address, hash: 0, generation: .zero)
    }

    // MARK: Retiring

    /// A block that nothing uses once `commit` is durable.
    func retire(_ address: BlockAddress, _ commit: CommitWork) {
        retired[address] = commit.number
        commit.retired.append(RetiredBlock(address: address, afterCommit: commit.number))
    }

    /// The same for an address that a disk names: passed over where it cannot be true.
    func retireChecked(_ address: BlockAddress, _ commit: CommitWork) {
        guard isAllocated(address), retired[address] == nil else { return }
        retire(address, commit)
    }
}
