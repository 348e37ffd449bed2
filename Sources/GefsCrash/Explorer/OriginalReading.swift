import GefsEngine
import GefsFormat

/// Reads a disk as the original does, and sees whether it would take a block for free that is in
/// use. Shares nothing with the engine but the structures' codecs.
///
/// What differs from how we read: logs are replayed up to the first barrier that is not older than
/// the superblock, or to the end of the chain; a contradiction is fatal (FORMAT 5.2, 5.3). Deadlists
/// are followed until their link is NIL, and not to the tail that their key names (FORMAT 9.5).
struct OriginalReading {
    /// What would go wrong.
    enum Fault: Error, Hashable {
        case noSuperblock
        case arena(Int)
        case log(arena: Int, CorruptBlock)
        case logLoop(arena: Int)
        case contradiction(arena: Int, LogEntry)
        case freesReachable(BlockAddress)
        case freesLog(BlockAddress)
        case unreadable(BlockAddress)
        /// A chain does not end where its key says.
        case chainBehindTail(BlockAddress)
    }

    /// What blocks of trees refer to, by address and hash: most are those of the state before.
    final class Memory {
        fileprivate var nodes: [Place: [Child]] = [:]
        fileprivate var records: [Place: [[UInt8]: [UInt8]]] = [:]

        /// Nothing known.
        init() {}

        /// Forgets all when that becomes much.
        fileprivate func bound() {
            if nodes.count > 20_000 { nodes = [:] }
            if records.count > 2_000 { records = [:] }
        }
    }

    fileprivate struct Place: Hashable {
        var address: UInt64
        var hash: UInt64
    }

    fileprivate enum Child {
        case node(BlockPointer)
        case data(BlockAddress)
    }

    private let image: MemoryImage
    private let memory: Memory
    private let block = UnsafeMutableRawBufferPointer.allocate(
        byteCount: Geometry.blockBytes, alignment: 16)
    /// Whether the logs leave a block of the device free, by its number.
    private var free: [Bool]
    private var seen: Set<Place> = []

    /// Reads a disk.
    ///
    /// - Throws: the first thing that the original would stumble over.
    static func check(_ image: MemoryImage, _ memory: Memory) throws(Fault) {
        var reading = OriginalReading(image: image, memory: memory)
        defer { reading.block.deallocate() }
        memory.bound()
        try reading.run()
    }

    private init(image: MemoryImage, memory: Memory) {
        self.image = image
        self.memory = memory
        free = Array(repeating: false, count: Int(image.byteCount) / Geometry.blockBytes)
    }

    private func isFree(_ address: UInt64) -> Bool {
        let place = Int(truncatingIfNeeded: address / UInt64(Geometry.blockBytes))
        return free.indices.contains(place) && free[place]
    }

    private func read(_ address: UInt64) throws(Fault) -> UnsafeRawBufferPointer {
        guard address % UInt64(Geometry.blockBytes) == 0, address < image.byteCount,
            image.byteCount - address >= UInt64(Geometry.blockBytes)
        else { throw .unreadable(BlockAddress(rawValue: address)) }
        image.read(at: address, into: block)
        return UnsafeRawBufferPointer(block)
    }

    private mutating func run() throws(Fault) {
        let superblock = try superblock()
        var logs: [UInt64] = []
        for (index, reference) in superblock.arenas.enumerated() {
            logs += try replay(reference, index, superblock.commitGeneration)
        }
        for address in logs where isFree(address) {
            throw .freesLog(BlockAddress(rawValue: address))
        }
        for (key, value) in try records(superblock.snapshotTreeRoot) {
            try use(key, value)
        }
        if !superblock.pendingHead.isNone {
            try follow(superblock.pendingHead, superblock.pendingTail)
        }
    }

    private func superblock() throws(Fault) -> Superblock {
        let backup =
            image.byteCount - image.byteCount % UInt64(Geometry.blockBytes)
            - UInt64(Geometry.blockBytes)
        for address in [0, backup] {
            let bytes = try read(address)
            if let found = try? Superblock(
                decoding: bytes, at: BlockAddress(rawValue: address))
            {
                return found
            }
        }
        throw .noSuperblock
    }

    // MARK: Logs

    /// Replays the log of an arena; its blocks.
    private mutating func replay(
        _ reference: Superblock.ArenaReference, _ index: Int, _ barrier: UInt64
    ) throws(Fault) -> [UInt64] {
        let header = try header(reference, index)
        var position = header.logHead.rawValue
        var chain: [UInt64] = []
        while true {
            guard !chain.contains(position) else { throw .logLoop(arena: index) }
            chain.append(position)
            let next: UInt64?
            do throws(CorruptBlock) {
                let bytes: UnsafeRawBufferPointer
                do throws(Fault) {
                    bytes = try read(position)
                } catch {
                    throw CorruptBlock(
                        BlockAddress(rawValue: position), .allocationLog,
                        .address(BlockAddress(rawValue: position)))
                }
                let view = try ChainBlockView(
                    checking: bytes, at: BlockAddress(rawValue: position),
                    expecting: .allocationLog)
                var cursor = view.logEntries()
                var contradiction: LogEntry?
                var isAtBarrier = false
                while let entry = try cursor.next() {
                    if case .sync(let generation) = entry {
                        isAtBarrier = generation >= barrier
                        if isAtBarrier { break }
                    } else if !apply(entry) {
                        contradiction = entry
                        break
                    }
                }
                if let contradiction { throw CorruptBlock.contradiction(contradiction, position) }
                next = isAtBarrier || view.next.isNone ? nil : view.next.address.rawValue
            } catch {
                throw .log(arena: index, error)
            }
            guard let next else { return chain }
            position = next
        }
    }

    /// The copy that matches the superblock, the header first.
    private func header(
        _ reference: Superblock.ArenaReference, _ index: Int
    ) throws(Fault) -> ArenaHeader {
        for offset in [0, UInt64(Geometry.blockBytes)] {
            let address = reference.address.rawValue + offset
            let bytes = try read(address)
            if let found = try? ArenaHeader(
                decoding: bytes, at: BlockAddress(rawValue: address), hash: reference.hash)
            {
                return found
            }
        }
        throw .arena(index)
    }

    /// Changes the free blocks; false if they contradict the entry.
    private mutating func apply(_ entry: LogEntry) -> Bool {
        switch entry {
        case .sync: return true
        case .allocate(let start, let byteCount): return mark(start, byteCount, isFree: false)
        case .free(let start, let byteCount): return mark(start, byteCount, isFree: true)
        }
    }

    private mutating func mark(_ start: BlockAddress, _ byteCount: UInt64, isFree: Bool) -> Bool {
        guard start.rawValue < image.byteCount, byteCount <= image.byteCount - start.rawValue else {
            return false
        }
        let first = Int(start.rawValue) / Geometry.blockBytes
        for place in first..<first + Int(byteCount) / Geometry.blockBytes {
            guard free[place] != isFree else { return false }
            free[place] = isFree
        }
        return true
    }

    // MARK: What is in use

    private func use(_ address: BlockAddress) throws(Fault) {
        if isFree(address.rawValue) { throw .freesReachable(address) }
    }

    private mutating func walk(_ pointer: BlockPointer) throws(Fault) {
        let place = Place(address: pointer.address.rawValue, hash: pointer.hash)
        guard seen.insert(place).inserted else { return }
        try use(pointer.address)
        for child in try children(pointer, place) {
            switch child {
            case .node(let pointer): try walk(pointer)
            case .data(let address): try use(address)
            }
        }
    }

    private func children(
        _ pointer: BlockPointer, _ place: Place
    ) throws(Fault) -> [Child] {
        if let known = memory.nodes[place] { return known }
        var found: [Child] = []
        func add(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
            guard key.first == KeyKind.data.rawValue, let base = value.baseAddress,
                value.count >= BlockPointer.byteCount
            else { return }
            found.append(.data(BlockPointer(decoding: base).address))
        }
        switch try node(pointer) {
        case .pivot(let pivot):
            for index in 0..<pivot.childCount { found.append(.node(pivot.pointer(index))) }
            for index in 0..<pivot.messageCount where pivot.message(index).kind == .insert {
                add(pivot.messageKey(index), pivot.message(index).payload)
            }
        case .leaf(let leaf):
            for index in 0..<leaf.count { add(leaf.key(index), leaf.value(index)) }
        }
        memory.nodes[place] = found
        return found
    }

    private enum Node {
        case pivot(PivotView)
        case leaf(LeafView)
    }

    private func node(_ pointer: BlockPointer) throws(Fault) -> Node {
        let bytes = try read(pointer.address.rawValue)
        guard let base = bytes.baseAddress, MetroHash64.hash(bytes) == pointer.hash,
            let kind = try? NodeCheck.check(bytes, at: pointer.address)
        else { throw .unreadable(pointer.address) }
        return kind == .pivot
            ? .pivot(PivotView(unchecked: base)) : .leaf(LeafView(unchecked: base))
    }

    /// What the snapshot tree says; its messages are heeded, since a snapshot that a message takes
    /// away holds nothing any more.
    private func records(_ pointer: BlockPointer) throws(Fault) -> [[UInt8]: [UInt8]] {
        try use(pointer.address)
        let place = Place(address: pointer.address.rawValue, hash: pointer.hash)
        if let known = memory.records[place] { return known }
        var found: [[UInt8]: [UInt8]] = [:]
        var isWhole = false
        switch try node(pointer) {
        case .leaf(let leaf):
            isWhole = true
            for index in 0..<leaf.count {
                found[Array(leaf.key(index))] = Array(leaf.value(index))
            }
        case .pivot(let pivot):
            let children = (0..<pivot.childCount).map { pivot.pointer($0) }
            let messages = (0..<pivot.messageCount).map { index in
                let message = pivot.message(index)
                return (message.kind, Array(message.key), Array(message.payload))
            }
            for child in children { found.merge(try records(child)) { $1 } }
            for (kind, key, payload) in messages {
                if kind == .insert { found[key] = payload }
                if kind == .delete { found[key] = nil }
            }
        }
        // A pivot's children are to be looked at each time: they may be taken for free.
        if isWhole { memory.records[place] = found }
        return found
    }

    private mutating func use(_ key: [UInt8], _ value: [UInt8]) throws(Fault) {
        let record = value.withUnsafeBytes { try? SnapshotRecord(decoding: $0) }
        if key.first == KeyKind.snapshot.rawValue, let record { try walk(record.root) }
        let list = value.withUnsafeBytes { try? DeadlistRecord(decoding: $0) }
        if key.first == KeyKind.deadlist.rawValue, let list, !list.isEmpty {
            try follow(list.head, list.tail)
        }
    }

    /// Follows a chain of deadlist blocks to its NIL, which must be that of its tail.
    private mutating func follow(_ head: BlockPointer, _ tail: BlockPointer) throws(Fault) {
        var position = head.address
        while true {
            guard seen.insert(Place(address: position.rawValue, hash: 0)).inserted else { return }
            try use(position)
            let bytes = try read(position.rawValue)
            guard
                let view = try? ChainBlockView(
                    checking: bytes, at: position, expecting: .deadlist)
            else { throw .unreadable(position) }
            let next = view.next.address
            if position == tail.address {
                if !next.isNone { throw .chainBehindTail(position) }
                return
            }
            if next.isNone { throw .chainBehindTail(position) }
            position = next
        }
    }
}

extension CorruptBlock {
    /// An entry that cannot be true, as damage of its block.
    fileprivate static func contradiction(_ entry: LogEntry, _ position: UInt64) -> CorruptBlock {
        let address =
            switch entry {
            case .allocate(let start, _), .free(let start, _): start
            case .sync: BlockAddress.none
            }
        return CorruptBlock(
            BlockAddress(rawValue: position), .allocationLog, .address(address))
    }
}
