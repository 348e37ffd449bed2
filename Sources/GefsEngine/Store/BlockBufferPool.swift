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
/// asked per block. Up to `warmCountMax` idle blocks keep their memory; the memory of further
/// idle ones goes back to the system while their addresses stay reserved.
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
        guard !isWarm else { return }
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

    private static func mapSlab() -> UnsafeMutableRawPointer? {
        let slab = mmap(
            nil, slabBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0)
        return slab == MAP_FAILED ? nil : slab
    }
}
