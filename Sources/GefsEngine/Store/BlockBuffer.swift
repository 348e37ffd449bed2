import GefsFormat

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The memory of one block: 16384 bytes, page aligned.
///
/// Whoever made the buffer may change its bytes until it is published: put into the cache,
/// queued for writing, or handed to another thread. From then on they never change, which is
/// what makes sharing it between threads safe.
public final class BlockBuffer: @unchecked Sendable {
    /// First byte of the block.
    public let base: UnsafeMutableRawPointer
    private let pool: BlockBufferPool?
    /// Whoever wrote the block has it in a cache: it needs no place in ours when it is on the device.
    /// To be set before the buffer is published.
    var isCachedByWriter = false

    /// A buffer with memory of its own; its bytes are unspecified.
    public init() {
        base = .allocate(byteCount: Geometry.blockBytes, alignment: BlockBufferPool.alignment)
        pool = nil
    }

    init(base: UnsafeMutableRawPointer, pool: BlockBufferPool) {
        self.base = base
        self.pool = pool
    }

    deinit {
        if let pool {
            pool.recycle(base)
        } else {
            base.deallocate()
        }
    }

    /// The whole block.
    public var bytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: base, count: Geometry.blockBytes)
    }

    /// The whole block, to be filled before it is published.
    public var mutableBytes: UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: base, count: Geometry.blockBytes)
    }

    /// Makes every byte zero.
    public func clear() {
        memset(base, 0, Geometry.blockBytes)
    }
}
