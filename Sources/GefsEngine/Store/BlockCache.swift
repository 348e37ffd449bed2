import GefsFormat

/// What a cached block was verified as.
///
/// A node was checked record by record, data only against its hash. They are kept apart because
/// a damaged or hostile disk may refer to one block as both.
enum BlockRole: UInt8, Sendable {
    case data = 1
    case node = 2
}

/// Verified blocks in memory, bounded in bytes.
///
/// Keyed by address and hash, at most one entry per address. Shards have a lock each that is held
/// for a table probe, never during I/O. Eviction is S3-FIFO: a block enters a small queue and
/// moves to the main one only if it is used again, so that a scan does not push out what is in use.
///
/// All operations may be called from any thread.
final class BlockCache: Sendable {
    /// Counts since the cache was made.
    struct Statistics: Sendable, Equatable {
        var hits = 0
        var misses = 0
        var evictions = 0
        var blocks = 0
        var byteCount: Int { blocks * BlockCache.entryBytes }
    }

    /// What one cached block costs: its bytes, its object, its place in tables and queues.
    static let entryBytes = Geometry.blockBytes + 192

    private struct UnsafeShards: @unchecked Sendable {
        let start: UnsafeMutablePointer<Unmanaged<Shard>>
        let count: Int
    }

    private final class Shard: @unchecked Sendable {
        /// Guards `state`.
        let lock = Lock()
        var state: CacheShard

        init(capacity: Int) {
            state = CacheShard(capacity: capacity)
        }
    }

    /// The shards, at a fixed place and never counted: a hit should cost a lock, a probe and the
    /// retain of its result.
    private let shards: UnsafeShards
    private let shardShift: UInt64

    /// A cache that holds up to `byteLimit` bytes, and at least 16 blocks.
    init(byteLimit: UInt64) {
        let blocks = max(16, Int(clamping: byteLimit / UInt64(Self.entryBytes)))
        var bits = 0
        while bits < 6, blocks >> (bits + 1) >= 64 { bits += 1 }
        let count = 1 << bits
        shardShift = UInt64(64 - bits)
        let start = UnsafeMutablePointer<Unmanaged<Shard>>.allocate(capacity: count)
        for index in 0..<count {
            (start + index).initialize(
                to: .passRetained(Shard(capacity: max(1, blocks / count))))
        }
        shards = UnsafeShards(start: start, count: count)
    }

    deinit {
        for index in 0..<shards.count { shards.start[index].release() }
        shards.start.deallocate()
    }

    /// The block that `pointer` refers to, if it was put in under the same hash and role.
    func lookup(_ pointer: BlockPointer, as role: BlockRole) -> BlockBuffer? {
        let mixed = CacheShard.mix(pointer.address)
        return withShard(mixed) { shard in
            shard.lookup(pointer.address, mixed: mixed, hash: pointer.hash, role: role)
        }
    }

    /// Puts a verified block in, in place of an older one at its address.
    func insert(_ pointer: BlockPointer, _ buffer: BlockBuffer, as role: BlockRole) {
        let mixed = CacheShard.mix(pointer.address)
        // The evicted buffer dies outside of the lock.
        let evicted = withShard(mixed) { shard in
            shard.insert(
                pointer.address, mixed: mixed, hash: pointer.hash, role: role, buffer: buffer)
        }
        withExtendedLifetime(evicted) {}
    }

    /// Forgets what lies at `address`: to be called before the address is used again.
    func remove(_ address: BlockAddress) {
        let mixed = CacheShard.mix(address)
        let removed = withShard(mixed) { shard in
            shard.remove(address, mixed: mixed)
        }
        withExtendedLifetime(removed) {}
    }

    var statistics: Statistics {
        var sum = Statistics()
        for index in 0..<shards.count {
            let part = shards.start[index]._withUnsafeGuaranteedRef { shard in
                shard.lock.lock()
                defer { shard.lock.unlock() }
                return shard.state.statistics
            }
            sum.hits += part.hits
            sum.misses += part.misses
            sum.evictions += part.evictions
            sum.blocks += part.blocks
        }
        return sum
    }

    @inline(__always)
    private func withShard<R: Sendable>(
        _ mixed: UInt64, _ body: (inout CacheShard) -> R
    ) -> R {
        // A shift by 64 is 0 in Swift, which is right for a single shard.
        let index = Int(truncatingIfNeeded: mixed >> shardShift)
        return shards.start[index]._withUnsafeGuaranteedRef { shard in
            shard.lock.lock()
            defer { shard.lock.unlock() }
            return body(&shard.state)
        }
    }
}
