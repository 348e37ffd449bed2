import GefsFormat
import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Recycles the memory of block buffers.
///
/// Blocks are cut from large mappings, so page alignment costs nothing and the allocator is not
/// asked per block. Up to `warmCountMax` idle blocks keep their memory until `giveBackIdle`; the
/// memory of further idle ones goes back to the system while their addresses stay reserved.
///
/// A search in a tree of gigabytes goes from page to page, and with small ones the processor looks
/// up more addresses than keys. So mappings but for the first ask for large pages, until memory of
/// theirs goes back: the system would fill the hole again to make a large page of it.
///
/// Any thread may make and drop buffers. Buffers keep their pool alive.
public final class BlockBufferPool: Sendable {
    /// Alignment of every block in bytes: at least a page of any supported machine.
    static let alignment = 16384
    private static let slabBlocks = 256
    private static let slabBytes = slabBlocks * Geometry.blockBytes

    private struct Idle: @unchecked Sendable {
        var warm: [UnsafeMutableRawPointer] = []
        var cold: [UnsafeMutableRawPointer] = []
        var slabs: [UnsafeMutableRawPointer] = []
        /// Addresses of slabs that ask for large pages.
        var large: Set<Int> = []
    }

    private let idle = Mutex(Idle())
    private let warmCountMax: Int

    /// - Parameter idleBytesMax: memory that may lie idle in the pool.
    public init(idleBytesMax: Int = 16 << 20) {
        warmCountMax = max(1, idleBytesMax / Geometry.blockBytes)
    }

    deinit {
        idle.withLock { idle in
            for slab in idle.slabs { munmap(slab, Self.slabBytes) }
        }
    }

    /// A buffer whose bytes are unspecified.
    public func make() -> BlockBuffer {
        let base = idle.withLock { idle -> UnsafeMutableRawPointer? in
            if let base = idle.warm.popLast() ?? idle.cold.popLast() { return base }
            guard let slab = Self.mapSlab() else { return nil }
            // A small pool, of which there may be many, is not worth 2 MiB at the first touch.
            if !idle.slabs.isEmpty, Self.askForLargePages(slab, true) {
                idle.large.insert(Int(bitPattern: slab))
            }
            idle.slabs.append(slab)
            for index in (1..<Self.slabBlocks).reversed() {
                idle.cold.append(slab + index * Geometry.blockBytes)
            }
            return slab
        }
        guard let base else { return BlockBuffer() }
        return BlockBuffer(base: base, pool: self)
    }

    func recycle(_ base: UnsafeMutableRawPointer) {
        let isWarm = idle.withLock { idle in
            guard idle.warm.count < warmCountMax else { return false }
            idle.warm.append(base)
            return true
        }
        if !isWarm { giveBack(base) }
    }

    /// Gives the memory of all idle blocks back to the system: for when nothing goes on.
    func giveBackIdle() {
        let warm = idle.withLock { idle in
            defer { idle.warm = [] }
            return idle.warm
        }
        for base in warm { giveBack(base) }
    }

    /// Gives the memory of a block back that is in no list, and puts its address into one.
    private func giveBack(_ base: UnsafeMutableRawPointer) {
        let slab = base - Int(bitPattern: base) % Self.slabBytes
        let address = Int(bitPattern: slab)
        if idle.withLock({ $0.large.remove(address) }) != nil {
            _ = Self.askForLargePages(slab, false)
        }
        // The block belongs to nobody here, so the call needs no lock.
        #if canImport(Darwin)
            madvise(base, Geometry.blockBytes, MADV_FREE)
        #else
            madvise(base, Geometry.blockBytes, MADV_DONTNEED)
        #endif
        idle.withLock { $0.cold.append(base) }
    }

    /// Idle blocks that still hold memory, and those that do not.
    var idleCounts: (warm: Int, cold: Int) {
        idle.withLock { ($0.warm.count, $0.cold.count) }
    }

    /// Maps a slab at a multiple of its size, so that each block tells which slab it is of.
    private static func mapSlab() -> UnsafeMutableRawPointer? {
        let room = mmap(
            nil, 2 * slabBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0)
        guard room != MAP_FAILED, let room else { return nil }
        let before = (slabBytes - Int(bitPattern: room) % slabBytes) % slabBytes
        let slab = room + before
        if before > 0 { munmap(room, before) }
        munmap(slab + slabBytes, slabBytes - before)
        return slab
    }

    /// Says whether there are large pages to ask for.
    private static func askForLargePages(_ slab: UnsafeMutableRawPointer, _ wants: Bool) -> Bool {
        #if os(Linux)
            // MADV_HUGEPAGE and MADV_NOHUGEPAGE, which the overlay does not show.
            return madvise(slab, slabBytes, wants ? 14 : 15) == 0
        #else
            return false
        #endif
    }
}
