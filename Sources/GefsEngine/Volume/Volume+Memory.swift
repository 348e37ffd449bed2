import CPlatform

/// What the flush thread knows of the allocator.
struct IdleMemory {
    /// Blocks that the cache had been asked for at the last look.
    var lookups = 0
    /// What lay idle when memory was last given back.
    var keptBytes: UInt64 = 0

    /// Less than this is not worth the call.
    static let bytesMin: UInt64 = 2 << 20
}

extension Volume {
    /// Gives memory back to the system that the pool of blocks and the allocator have kept, where
    /// nobody has read anything since the last look. Flush thread only.
    ///
    /// Allocators keep what many small objects took, those of open files say, for the next ones,
    /// and their pages between what is still in use. Giving back takes the allocator's locks, so it
    /// has to wait until nobody is in a hurry; what was given back still counts as idle there, so
    /// only what came on top of that is a reason to do it again.
    func giveBackMemory() {
        let before = idleMemory.lookups
        noteLookups()
        guard idleMemory.lookups == before else { return }
        pool.giveBackIdle()
        let idle = cplatform_idle_heap_bytes()
        guard idle >= idleMemory.keptBytes + IdleMemory.bytesMin else {
            idleMemory.keptBytes = min(idleMemory.keptBytes, idle)
            return
        }
        cplatform_give_back_heap()
        idleMemory.keptBytes = idle
    }

    /// Remembers what was read up to now: a commit looks for blocks, too, and is no reason to wait
    /// longer. Flush thread only.
    func noteLookups() {
        let cache = cache.statistics
        idleMemory.lookups = cache.hits + cache.misses
    }
}
