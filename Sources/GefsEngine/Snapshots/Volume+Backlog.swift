import GefsFormat

/// What dropped snapshots held, as far as it is not free yet: one chain on the disk, part of the
/// pending list, of which each commit takes a bounded piece.
struct Backlog {
    /// What came from one list.
    private struct Part {
        /// The last block of the chain that belongs to it.
        var last: BlockAddress
        /// None of its blocks was born later.
        var birth: Generation
    }

    /// The chain.
    private(set) var list = DeadlistRecord(head: .none, tail: .none)
    /// Its parts, in its order.
    private var parts: [Part] = []

    init() {}

    fileprivate init(_ list: DeadlistRecord, born birth: Generation) {
        self.list = list
        parts = [Part(last: list.tail.address, birth: birth)]
    }

    var isEmpty: Bool { list.isEmpty }

    /// When the blocks on one of the chain's blocks were born, or later.
    fileprivate mutating func pass(_ address: BlockAddress) -> Generation {
        // A chain that somebody has made up may go on behind its end.
        guard let part = parts.first else { return .zero }
        if part.last == address { parts.removeFirst() }
        return part.birth
    }

    /// The chain has become longer in front.
    fileprivate mutating func grow(
        to list: DeadlistRecord, last: BlockAddress, born birth: Generation
    ) {
        self.list = list
        parts.insert(Part(last: last, birth: birth), at: 0)
    }

    /// The chain has become shorter in front.
    fileprivate mutating func shrink(to list: DeadlistRecord) {
        self.list = list
        if list.isEmpty { parts = [] }
    }
}

extension Volume {
    /// Puts a list on the backlog.
    ///
    /// The shorter of the two is copied in front of the longer one, like where deadlists are joined,
    /// but no block holds entries of two lists: when they were born tells what must not be freed.
    func addToBacklog(
        _ record: DeadlistRecord, born birth: Generation, _ work: CommitWork
    ) throws(FileError) {
        guard !backlog.isEmpty, isShorter(backlog.list, than: record, work) else {
            guard !backlog.isEmpty else { return backlog = Backlog(record, born: birth) }
            var addresses: [BlockAddress] = []
            passChain(record, work) { block, address in
                addresses += block.deadAddresses
                retireChecked(address, work)
            }
            return try putOnBacklog(addresses, born: birth, work)
        }
        var old = backlog
        var pieces: [(addresses: [BlockAddress], birth: Generation)] = []
        passChain(old.list, work) { block, address in
            let birth = old.pass(address)
            if pieces.last?.birth != birth { pieces.append(([], birth)) }
            pieces[pieces.count - 1].addresses += block.deadAddresses
            retireChecked(address, work)
        }
        backlog = Backlog(record, born: birth)
        for piece in pieces.reversed() {
            try putOnBacklog(piece.addresses, born: piece.birth, work)
        }
    }

    private func putOnBacklog(
        _ addresses: [BlockAddress], born birth: Generation, _ work: CommitWork
    ) throws(FileError) {
        guard !addresses.isEmpty else { return }
        let first = work.queue.blockCount
        let list = try prepend(addresses[...], to: backlog.list, work)
        // The first one written is the last one in the chain.
        backlog.grow(to: list, last: work.queue.blocks[first].address, born: birth)
    }

    /// Takes a bounded part of what dropped snapshots held from the disk, to be freed.
    func takeBacklog(_ work: CommitWork) throws(FileError) {
        var count = 0
        while !backlog.isEmpty, count < options.backlogBlocksMax {
            count += 1
            var list = backlog.list
            let address = list.head.address
            let birth = backlog.pass(address)
            let entries: [BlockAddress]
            do throws(FileError) {
                entries = try takeHead(of: &list, work)
            } catch {
                log("what a deleted snapshot held is lost: \(error)")
                backlog = Backlog()
                return
            }
            backlog.shrink(to: list)
            for entry in entries { drop(entry, born: birth, work) }
            retireChecked(address, work)
        }
    }
}
