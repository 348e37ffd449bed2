import GefsFormat

/// What is in memory of a volume: for whoever looks for the reason of something.
public struct MemoryState: Sendable, Hashable {
    /// Blocks in the cache, and the bytes that they take of its limit.
    public var cachedBlocks: Int
    public var cachedBytes: Int
    public var cacheBytesMax: UInt64
    /// Since the volume was opened.
    public var hits: Int
    public var misses: Int
    public var evictions: Int
    /// Bytes of changes that are not written yet.
    public var unflushedBytes: Int
    /// Blocks that are to become free with a commit to come.
    public var retiredBlocks: Int
}

/// The free space of an arena, as it lies there.
public struct FreeSpaceState: Sendable, Hashable {
    /// Where the arena begins, in bytes.
    public var address: UInt64
    public var freeBytes: UInt64
    /// Runs of free blocks that follow each other.
    public var runs: Int
    public var longestRunBytes: UInt64
}

extension FileSystem {
    /// What is in memory now.
    public func memoryState() throws(FileError) -> MemoryState {
        let cache = volume.cache.statistics
        let retired = try volume.onFlushThread { $0.retired.count }
        return MemoryState(
            cachedBlocks: cache.blocks, cachedBytes: cache.byteCount,
            cacheBytesMax: volume.options.cacheBytes, hits: cache.hits, misses: cache.misses,
            evictions: cache.evictions,
            unflushedBytes: volume.unflushedBytes.load(ordering: .relaxed), retiredBlocks: retired)
    }

    /// How the free space of each arena lies. Looks at the whole map of free blocks.
    public func freeSpace() throws(FileError) -> [FreeSpaceState] {
        try volume.onFlushThread { volume in
            volume.arenas.arenas.map { arena in
                var (count, longest) = (0, 0)
                arena.map.forEachFreeRun { run in
                    count += 1
                    longest = max(longest, run.count)
                    return true
                }
                return FreeSpaceState(
                    address: arena.address.rawValue,
                    freeBytes: UInt64(arena.map.freeCount * Geometry.blockBytes),
                    runs: count, longestRunBytes: UInt64(longest * Geometry.blockBytes))
            }
        }
    }
}

extension FileHandle {
    /// The label whose tree the file lies in, which may have been renamed; `dump` for the directory
    /// of all labels, empty where the tree has no label any more.
    public var label: [UInt8] {
        guard let branch = node?.branch else { return Dump.label }
        // The flush thread changes it with this lock held.
        return branch.volume.lock.locked { branch.label ?? [] }
    }

    /// Where the file lies below its tree's root now, a slash before each name.
    public var path: [UInt8] {
        guard let node else { return [UInt8(ascii: "/")] }
        return node.branch.lock.locked {
            var names: [[UInt8]] = []
            var next: FileNode? = node
            while let current = next, current.parent != nil {
                names.append(current.name)
                next = current.parent
            }
            if names.isEmpty { return [UInt8(ascii: "/")] }
            return names.reversed().flatMap { [UInt8(ascii: "/")] + $0 }
        }
    }

    /// The directory that the file is in, and its name there; nil for a root.
    public var location: (directory: UInt64, name: [UInt8])? {
        guard let node else { return nil }
        return node.branch.lock.locked { currentPlace.map { ($0.parent.qidPath, $0.name) } }
    }

    /// Whether nothing of the file is left: its branch went back to a state that has it not.
    public var isLost: Bool {
        guard let node else { return false }
        return node.branch.lock.locked { node.isLost }
    }

    /// Whether the file has lost its name.
    public var isRemoved: Bool {
        guard let node else { return false }
        return node.branch.lock.locked { node.isRemoved }
    }
}
