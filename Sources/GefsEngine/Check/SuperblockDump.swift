import GefsFormat

/// A superblock.
public struct SuperblockDump: Hashable, Sendable, Encodable, CustomStringConvertible {
    /// An entry of the arena table.
    public struct Arena: Hashable, Sendable, Encodable {
        /// Where its header lies.
        public var address: String
        /// What its header hashes to.
        public var hash: String
    }

    /// `superblock`.
    public var type = "superblock"
    /// Where it lies.
    public var address: String
    /// Levels of the snapshot tree.
    public var snapshotTreeHeight: UInt32
    /// Root of the snapshot tree.
    public var snapshotTreeRoot: String
    /// Its hash.
    public var snapshotTreeHash: String
    /// First block of the list of pending frees, or `none`.
    public var pendingHead: String
    /// Last block of that list.
    public var pendingTail: String
    /// Features.
    public var featureFlags: UInt64
    /// The next file's number.
    public var nextQid: UInt64
    /// The next generation.
    public var nextGeneration: UInt64
    /// The barrier of the commit.
    public var commitGeneration: UInt64
    /// The arenas.
    public var arenas: [Arena]

    init(_ superblock: Superblock, at address: BlockAddress) {
        self.address = address.description
        snapshotTreeHeight = superblock.snapshotTreeHeight
        snapshotTreeRoot = superblock.snapshotTreeRoot.address.description
        snapshotTreeHash = hexadecimal(superblock.snapshotTreeRoot.hash)
        pendingHead = superblock.pendingHead.address.description
        pendingTail = superblock.pendingTail.address.description
        featureFlags = superblock.features.rawValue
        nextQid = superblock.nextQid
        nextGeneration = superblock.nextGeneration.rawValue
        commitGeneration = superblock.commitGeneration
        arenas = superblock.arenas.map {
            Arena(address: $0.address.description, hash: hexadecimal($0.hash))
        }
    }

    /// A line for each group of fields, and one for each arena.
    public var description: String {
        var lines = [
            "block \(address): superblock",
            "  commit \(commitGeneration), next generation \(nextGeneration), "
                + "next qid \(nextQid), flags \(hexadecimal(featureFlags))",
            "  snapshot tree at \(snapshotTreeRoot), hash \(snapshotTreeHash), "
                + "height \(snapshotTreeHeight)",
            "  pending list from \(pendingHead) to \(pendingTail)",
        ]
        for (index, arena) in arenas.enumerated() {
            lines.append("  arena \(index) at \(arena.address), hash \(arena.hash)")
        }
        return lines.joined(separator: "\n")
    }
}

/// The header or footer of an arena.
public struct ArenaHeaderDump: Hashable, Sendable, Encodable, CustomStringConvertible {
    /// `arena`.
    public var type = "arena"
    /// Where it lies.
    public var address: String
    /// The hash of the whole block.
    public var hash: String
    /// The first block of the allocation log.
    public var logHead: String
    /// A stale hash of it.
    public var logHash: String
    /// Bytes behind header and footer.
    public var byteCount: UInt64
    /// Bytes in use when it was written.
    public var usedBytes: UInt64

    init(_ header: ArenaHeader, at address: BlockAddress, hash: UInt64) {
        self.address = address.description
        self.hash = hexadecimal(hash)
        logHead = header.logHead.description
        logHash = hexadecimal(header.logHash)
        byteCount = header.byteCount
        usedBytes = header.usedBytes
    }

    /// The fields.
    public var description: String {
        "block \(address): arena header, hash \(hash)\n"
            + "  log at \(logHead), stale hash \(logHash)\n"
            + "  \(hexadecimal(byteCount)) bytes, \(hexadecimal(usedBytes)) in use when written"
    }
}
