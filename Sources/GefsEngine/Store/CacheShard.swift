import GefsFormat

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// One shard of the cache: an open-addressing table over a fixed array of entries, which are
/// chained into the two queues of S3-FIFO. Not synchronised; the cache's locks do that.
///
/// Invariants:
/// - An address has at most one entry, and the table has exactly one slot for each entry in use.
/// - Every entry in use is on the queue that it names; others are on the list of unused ones.
struct CacheShard: ~Copyable, @unchecked Sendable {
    fileprivate struct Entry {
        var address: UInt64
        var hash: UInt64
        var buffer: Unmanaged<BlockBuffer>
        var next: UInt32
        var previous: UInt32
        var role: UInt8
        var uses: UInt8
        var queue: UInt8
    }

    fileprivate struct Queue {
        var head = CacheShard.none
        var tail = CacheShard.none
        var count = 0
    }

    /// A key that was evicted from the small queue unused, and when.
    fileprivate struct Ghost {
        var mark: UInt32
        var time: UInt32
    }

    private static var none: UInt32 { .max }
    private static var ghostWays: Int { 4 }
    private static var usesMax: UInt8 { 3 }
    private static var small: Int { 0 }
    private static var main: Int { 1 }

    private let entries: UnsafeMutablePointer<Entry>
    /// Entry index + 1 per slot; 0 is empty. Never more than half full.
    private let table: UnsafeMutablePointer<UInt32>
    private let tableMask: Int
    private let ghosts: UnsafeMutablePointer<Ghost>
    private let ghostMask: Int
    private let capacity: Int
    private let smallMax: Int
    /// The small queue and the main one.
    private let queues: UnsafeMutablePointer<Queue>
    private var usedEntries = 0
    private var unused = CacheShard.none
    private var ghostTime: UInt32 = 0
    private(set) var statistics = BlockCache.Statistics()

    init(capacity: Int) {
        self.capacity = capacity
        smallMax = max(1, capacity / 10)
        let slots = Self.powerOfTwo(atLeast: capacity * 2 + 2)
        tableMask = slots - 1
        let sets = Self.powerOfTwo(atLeast: max(1, capacity / Self.ghostWays))
        ghostMask = sets - 1
        // Pages of the arrays that are not touched take no memory.
        entries = .allocate(capacity: capacity)
        table = Self.zeroed(slots)
        ghosts = Self.zeroed(sets * Self.ghostWays)
        queues = .allocate(capacity: 2)
        queues.initialize(repeating: Queue(), count: 2)
    }

    deinit {
        for slot in 0...tableMask where table[slot] != 0 {
            entries[Int(table[slot]) - 1].buffer.release()
        }
        entries.deallocate()
        free(table)
        free(ghosts)
        queues.deallocate()
    }

    private static func powerOfTwo(atLeast count: Int) -> Int {
        count <= 1 ? 1 : 1 << (Int.bitWidth - (count - 1).leadingZeroBitCount)
    }

    private static func zeroed<T>(_ count: Int) -> UnsafeMutablePointer<T> {
        guard let memory = calloc(count, MemoryLayout<T>.stride) else {
            let memory = UnsafeMutableRawPointer.allocate(
                byteCount: count * MemoryLayout<T>.stride, alignment: 16)
            memset(memory, 0, count * MemoryLayout<T>.stride)
            return memory.bindMemory(to: T.self, capacity: count)
        }
        return memory.bindMemory(to: T.self, capacity: count)
    }

    /// Spreads addresses: the high bits choose the shard, the low ones the slot.
    @inline(__always)
    static func mix(_ address: BlockAddress) -> UInt64 {
        let product = (address.rawValue >> 14) &* 0x9E37_79B9_7F4A_7C15
        return product ^ (product >> 32)
    }

    // MARK: Operations

    @inline(__always)
    mutating func lookup(
        _ address: BlockAddress, mixed: UInt64, hash: UInt64, role: BlockRole
    ) -> BlockBuffer? {
        if let index = find(address, mixed) {
            let entry = entries + index
            if entry.pointee.hash == hash, entry.pointee.role == role.rawValue {
                if entry.pointee.uses < Self.usesMax { entry.pointee.uses += 1 }
                statistics.hits += 1
                return entry.pointee.buffer.takeUnretainedValue()
            }
        }
        statistics.misses += 1
        return nil
    }

    /// Returns the buffers that left the shard.
    mutating func insert(
        _ address: BlockAddress, mixed: UInt64, hash: UInt64, role: BlockRole,
        buffer: BlockBuffer
    ) -> BlockBuffer? {
        if let index = find(address, mixed) {
            let old = entries[index].buffer
            entries[index].hash = hash
            entries[index].role = role.rawValue
            entries[index].buffer = Unmanaged.passRetained(buffer)
            return old.takeRetainedValue()
        }
        let evicted = statistics.blocks == capacity ? evict() : nil
        let index: Int
        if unused != Self.none {
            index = Int(unused)
            unused = entries[index].next
        } else {
            index = usedEntries
            usedEntries += 1
        }
        (entries + index).initialize(
            to: Entry(
                address: address.rawValue, hash: hash, buffer: .passRetained(buffer),
                next: Self.none, previous: Self.none, role: role.rawValue, uses: 0, queue: 0))
        var slot = Int(truncatingIfNeeded: mixed) & tableMask
        while table[slot] != 0 { slot = (slot + 1) & tableMask }
        table[slot] = UInt32(index + 1)
        if takeGhost(mixed) {
            append(index, to: Self.main)
        } else {
            append(index, to: Self.small)
        }
        statistics.blocks += 1
        return evicted
    }

    mutating func remove(_ address: BlockAddress, mixed: UInt64) -> BlockBuffer? {
        guard let index = find(address, mixed) else { return nil }
        unlink(index)
        return discard(index)
    }

    // MARK: Table

    @inline(__always)
    private func find(_ address: BlockAddress, _ mixed: UInt64) -> Int? {
        var slot = Int(truncatingIfNeeded: mixed) & tableMask
        while true {
            let found = table[slot]
            if found == 0 { return nil }
            if entries[Int(found) - 1].address == address.rawValue { return Int(found) - 1 }
            slot = (slot + 1) & tableMask
        }
    }

    /// Empties the slot of an entry and closes the gap, so that probes need no tombstones.
    private func eraseSlot(of index: Int) {
        let mixed = Self.mix(BlockAddress(rawValue: entries[index].address))
        var hole = Int(truncatingIfNeeded: mixed) & tableMask
        while table[hole] != UInt32(index + 1) { hole = (hole + 1) & tableMask }
        var slot = hole
        while true {
            slot = (slot + 1) & tableMask
            let found = table[slot]
            if found == 0 { break }
            let address = BlockAddress(rawValue: entries[Int(found) - 1].address)
            let home = Int(truncatingIfNeeded: Self.mix(address)) & tableMask
            if (slot - home) & tableMask >= (slot - hole) & tableMask {
                table[hole] = found
                hole = slot
            }
        }
        table[hole] = 0
    }

    /// Takes an entry, which is on no queue any more, out of the table.
    private mutating func discard(_ index: Int) -> BlockBuffer {
        eraseSlot(of: index)
        entries[index].next = unused
        unused = UInt32(index)
        statistics.blocks -= 1
        return entries[index].buffer.takeRetainedValue()
    }

    // MARK: Queues

    private func append(_ index: Int, to number: Int) {
        let queue = queues + number
        entries[index].queue = UInt8(number)
        entries[index].next = Self.none
        entries[index].previous = queue.pointee.tail
        if queue.pointee.tail == Self.none {
            queue.pointee.head = UInt32(index)
        } else {
            entries[Int(queue.pointee.tail)].next = UInt32(index)
        }
        queue.pointee.tail = UInt32(index)
        queue.pointee.count += 1
    }

    private func unlink(_ index: Int) {
        let queue = queues + Int(entries[index].queue)
        let next = entries[index].next
        let previous = entries[index].previous
        if previous == Self.none {
            queue.pointee.head = next
        } else {
            entries[Int(previous)].next = next
        }
        if next == Self.none {
            queue.pointee.tail = previous
        } else {
            entries[Int(next)].previous = previous
        }
        queue.pointee.count -= 1
    }

    private mutating func evict() -> BlockBuffer? {
        while true {
            if queues[Self.small].count >= smallMax || queues[Self.main].count == 0 {
                let index = Int(queues[Self.small].head)
                unlink(index)
                if entries[index].uses > 0 {
                    entries[index].uses = 0
                    append(index, to: Self.main)
                    continue
                }
                rememberGhost(Self.mix(BlockAddress(rawValue: entries[index].address)))
                statistics.evictions += 1
                return discard(index)
            }
            let index = Int(queues[Self.main].head)
            unlink(index)
            if entries[index].uses > 0 {
                entries[index].uses -= 1
                append(index, to: Self.main)
                continue
            }
            statistics.evictions += 1
            return discard(index)
        }
    }

    // MARK: Ghosts

    private func ghostSet(_ mixed: UInt64) -> UnsafeMutablePointer<Ghost> {
        ghosts + (Int(truncatingIfNeeded: mixed >> 8) & ghostMask) * Self.ghostWays
    }

    private mutating func rememberGhost(_ mixed: UInt64) {
        ghostTime &+= 1
        let set = ghostSet(mixed)
        var oldest = 0
        for way in 0..<Self.ghostWays
        where ghostTime &- set[way].time > ghostTime &- set[oldest].time {
            oldest = way
        }
        set[oldest] = Ghost(mark: UInt32(truncatingIfNeeded: mixed >> 16) | 1, time: ghostTime)
    }

    /// Whether the key was evicted unused not long ago; forgets it.
    private func takeGhost(_ mixed: UInt64) -> Bool {
        let set = ghostSet(mixed)
        let mark = UInt32(truncatingIfNeeded: mixed >> 16) | 1
        for way in 0..<Self.ghostWays where set[way].mark == mark {
            set[way].mark = 0
            return Int(ghostTime &- set[way].time) <= capacity
        }
        return false
    }
}
