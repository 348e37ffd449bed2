import GefsEngine
import GefsFormat

/// Makes the logs of a closed volume look as another implementation leaves them.
enum ForeignLogs {
    /// Puts so many entries behind those of each log that its last block has no room left in its
    /// first sector: a block is taken and given back, over and over. What ends the log is a barrier
    /// that is older than the superblock's, as that of an arena which sat out commits.
    static func lengthen(_ image: inout MemoryImage) {
        let superblock = image.bytes(at: 0, count: Geometry.blockBytes).withUnsafeBytes {
            try? Superblock(decoding: $0, at: BlockAddress(rawValue: 0))
        }
        guard let superblock else { return }
        for arena in superblock.arenas { lengthen(arena.address.rawValue, superblock, &image) }
    }

    private static func lengthen(
        _ arena: UInt64, _ superblock: Superblock, _ image: inout MemoryImage
    ) {
        let header = image.bytes(at: arena, count: Geometry.blockBytes).withUnsafeBytes {
            try? ArenaHeader(decoding: $0, at: BlockAddress(rawValue: arena))
        }
        guard let header, superblock.commitGeneration > 1 else { return }
        var position = header.logHead
        var free: Set<UInt64> = []
        while true {
            let bytes = image.bytes(at: position.rawValue, count: Geometry.blockBytes)
            var entries: [LogEntry] = []
            var next = BlockAddress.none
            let isRead = bytes.withUnsafeBytes { raw -> Bool in
                guard
                    let view = try? ChainBlockView(
                        checking: raw, at: position, expecting: .allocationLog)
                else { return false }
                var cursor = view.logEntries()
                while let entry = try? cursor.next() { entries.append(entry) }
                next = view.next.address
                return true
            }
            guard isRead else { return }
            for entry in entries { apply(entry, &free) }
            guard next.isNone else {
                position = next
                continue
            }
            guard let any = free.min() else { return }
            write(entries, to: position, using: BlockAddress(rawValue: any), superblock, &image)
            return
        }
    }

    private static func apply(_ entry: LogEntry, _ free: inout Set<UInt64>) {
        let block = UInt64(Geometry.blockBytes)
        switch entry {
        case .sync: break
        case .allocate(let start, let count):
            for place in 0..<count / block { free.remove(start.rawValue + place * block) }
        case .free(let start, let count):
            for place in 0..<count / block { free.insert(start.rawValue + place * block) }
        }
    }

    private static func write(
        _ entries: [LogEntry], to position: BlockAddress, using spare: BlockAddress,
        _ superblock: Superblock, _ image: inout MemoryImage
    ) {
        let block = UInt64(Geometry.blockBytes)
        var bytes = [UInt8](repeating: 0, count: Geometry.blockBytes)
        bytes.withUnsafeMutableBytes { raw in
            guard let base = raw.baseAddress else { return }
            var builder = ChainBlockBuilder(block: base)
            for entry in entries {
                if case .sync = entry { continue }
                _ = builder.append(entry)
            }
            for _ in 0..<40 {
                _ = builder.append(.allocate(spare, byteCount: block))
                _ = builder.append(.free(spare, byteCount: block))
            }
            _ = builder.append(.sync(superblock.commitGeneration - 1))
            builder.finish(kind: .allocationLog)
        }
        bytes.withUnsafeBytes { image.write($0, at: position.rawValue) }
    }
}
