import GefsFormat

/// Memory that is handed out in small pieces and given back all at once.
///
/// Pieces never move. Chunks start small, so that an empty owner costs little, and double up to a
/// limit, so that a large one asks the allocator seldom.
struct ByteSlab: ~Copyable {
    private static let firstChunkBytes = 4 << 10
    private static let chunkBytesMax = 256 << 10
    private static let alignment = 8

    private var chunks: [UnsafeMutableRawPointer] = []
    private var next = UnsafeMutableRawPointer(bitPattern: Self.alignment).unsafelyUnwrapped
    private var bytesLeft = 0
    /// Memory of all chunks.
    private(set) var byteCount = 0

    init() {}

    deinit {
        for chunk in chunks { chunk.deallocate() }
    }

    /// A piece of unspecified content, aligned to 8 bytes, valid as long as the slab.
    @inline(__always)
    mutating func allocate(_ byteCount: Int) -> UnsafeMutableRawPointer {
        let rounded = Self.rounded(byteCount)
        if rounded > bytesLeft { addChunk(holding: rounded) }
        let piece = next
        next += rounded
        bytesLeft &-= rounded
        return piece
    }

    /// A copy of `bytes` that lives as long as the slab.
    mutating func copy(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        let piece = allocate(bytes.count)
        piece.storeBytes(of: bytes, at: 0)
        return UnsafeRawBufferPointer(start: piece, count: bytes.count)
    }

    /// The size that a piece of `byteCount` bytes really takes.
    @inline(__always)
    static func rounded(_ byteCount: Int) -> Int {
        (byteCount &+ (alignment &- 1)) & ~(alignment &- 1)
    }

    @inline(never)
    private mutating func addChunk(holding byteCount: Int) {
        let doubled = min(Self.firstChunkBytes << min(chunks.count, 16), Self.chunkBytesMax)
        let size = max(doubled, byteCount)
        let chunk = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: Self.alignment)
        chunks.append(chunk)
        next = chunk
        bytesLeft = size
        self.byteCount += size
    }
}
