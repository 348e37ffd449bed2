import GefsEngine
import GefsFormat

/// The list of blocks that are allocated, but reached by nothing.
enum PendingList {
    /// Makes a closed volume forget it, so that the blocks leak.
    static func forget(_ image: inout MemoryImage) {
        let block = Geometry.blockBytes
        var bytes = image.bytes(at: 0, count: block)
        let found = bytes.withUnsafeBytes {
            try? Superblock(decoding: $0, at: BlockAddress(rawValue: 0))
        }
        guard var superblock = found else { return }
        superblock.pendingHead = .none
        superblock.pendingTail = .none
        bytes.withUnsafeMutableBytes { superblock.encode(into: $0) }
        let backup = image.byteCount - image.byteCount % UInt64(block) - UInt64(block)
        for address in [0, backup] {
            bytes.withUnsafeBytes { image.write($0, at: address) }
        }
    }
}
