import GefsFormat

/// Who refers to each block, for all blocks of a device: 24 bytes for each block in use.
///
/// Blocks are named by their number on the device. Memory is taken in chunks of 64 MiB of
/// device that hold a block in use. Written by one thread; once that is done any may read.
final class BlockOwners: @unchecked Sendable {
    /// What a block is used as.
    enum Role: UInt8 {
        case none
        case node
        case data
        case deadlist
        case allocationLog
    }

    /// The first use of a block that was met.
    struct Entry {
        /// What the contents must hash to; for nodes and data.
        var hash: UInt64
        /// When it was born, the low half; for nodes and data.
        var birth: UInt32
        /// The node itself, the node that refers to the data, the deadlist, or the arena.
        var owner: UInt32
        /// Tells apart uses with the same role and hash: file and offset, for data.
        var identity: UInt32
        var role: Role

        static let unused = Entry(hash: 0, birth: 0, owner: 0, identity: 0, role: .none)
    }

    typealias Chunk = UnsafeMutablePointer<Entry>

    static let chunkBlocks = 4096
    let blockCount: Int
    let chunkCount: Int
    private let chunks: UnsafeMutablePointer<Chunk?>

    init(blockCount: Int) {
        self.blockCount = blockCount
        chunkCount = (blockCount + Self.chunkBlocks - 1) / Self.chunkBlocks
        chunks = .allocate(capacity: max(1, chunkCount))
        chunks.initialize(repeating: nil, count: chunkCount)
    }

    deinit {
        for index in 0..<chunkCount { chunks[index]?.deallocate() }
        chunks.deallocate()
    }

    /// The entries of a chunk, unless none of its blocks is in use.
    func chunk(_ index: Int) -> Chunk? { chunks[index] }

    /// The first use of a block. The number must be in range.
    @inline(__always)
    subscript(block: Int) -> Entry {
        chunks[block / Self.chunkBlocks]?[block % Self.chunkBlocks] ?? .unused
    }

    /// Notes a use if it is the first.
    ///
    /// - Returns: the first use if there was one.
    @inline(__always)
    func claim(_ block: Int, _ entry: Entry) -> Entry? {
        let place = place(block)
        guard place.pointee.role == .none else { return place.pointee }
        place.pointee = entry
        return nil
    }

    @inline(__always)
    private func place(_ block: Int) -> Chunk {
        let index = block / Self.chunkBlocks
        if let chunk = chunks[index] { return chunk + block % Self.chunkBlocks }
        let chunk = Chunk.allocate(capacity: Self.chunkBlocks)
        chunk.initialize(repeating: .unused, count: Self.chunkBlocks)
        chunks[index] = chunk
        return chunk + block % Self.chunkBlocks
    }
}
