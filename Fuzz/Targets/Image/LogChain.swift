import GefsFormat

@testable import GefsEngine

/// Makes the logs of an image longer than they would be by themselves.
enum LogChain {
    /// Lets the log of the first arena go on in a second block, as if the first were full. One that
    /// does so by itself stays.
    static func split(_ image: MemoryImage) throws -> MemoryImage {
        var image = image
        let bytes = Geometry.blockBytes
        let superblock = try image.bytes(at: 0, count: bytes).withUnsafeBytes {
            try Superblock(decoding: $0, at: BlockAddress(rawValue: 0))
        }
        let arena = superblock.arenas[0].address
        let header = try image.bytes(at: arena.rawValue, count: bytes).withUnsafeBytes {
            try ArenaHeader(decoding: $0, at: arena)
        }
        var entries: [LogEntry] = []
        var isChain = false
        try image.bytes(at: header.logHead.rawValue, count: bytes).withUnsafeBytes { block in
            let view = try ChainBlockView(
                checking: block, at: header.logHead, expecting: .allocationLog)
            var cursor = view.logEntries()
            while let entry = try cursor.next() { entries.append(entry) }
            isChain = !view.next.isNone
        }
        if isChain { return image }
        // Nothing is ever taken in the middle of an arena of which so little is used.
        let middle = arena.rawValue + (header.byteCount / 2) / UInt64(bytes) * UInt64(bytes)
        let second = BlockAddress(rawValue: middle)
        let cut = max(1, entries.count / 2)
        let first = entries.prefix(cut) + [.allocate(second, byteCount: UInt64(bytes))]
        write(
            first, at: header.logHead,
            next: BlockPointer(address: second, hash: 0, generation: .zero), &image)
        write(entries.dropFirst(cut), at: second, next: .none, &image)
        return image
    }

    private static func write(
        _ entries: some Sequence<LogEntry>, at address: BlockAddress, next: BlockPointer,
        _ image: inout MemoryImage
    ) {
        var block = [UInt8](repeating: 0, count: Geometry.blockBytes)
        block.withUnsafeMutableBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            var builder = ChainBlockBuilder(block: base)
            for entry in entries { _ = builder.append(entry) }
            builder.finish(kind: .allocationLog, next: next)
        }
        block.withUnsafeBytes { image.write($0, at: address.rawValue) }
    }
}
