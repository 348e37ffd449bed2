import GefsFormat

/// How full a volume is.
public struct SpaceReport: Sendable {
    /// One arena; all in bytes.
    public struct Arena: Sendable {
        public var address: UInt64
        public var size: UInt64
        public var used: UInt64
        /// Kept back for deletions and commits.
        public var reserve: UInt64

        public init(address: UInt64, size: UInt64, used: UInt64, reserve: UInt64) {
            self.address = address
            self.size = size
            self.used = used
            self.reserve = reserve
        }
    }

    public var arenas: [Arena]
    /// Bytes that acknowledged changes will take at worst.
    public var promisedBytes: UInt64
    /// Bytes of file data that can still be written: without the reserve, what is promised, and
    /// what commits and the tree take.
    public var available: UInt64

    public var size: UInt64 { arenas.reduce(0) { $0 + $1.size } }
    public var used: UInt64 { arenas.reduce(0) { $0 + $1.used } }
    public var reserve: UInt64 { arenas.reduce(0) { $0 + $1.reserve } }
}

extension FileSystem {
    /// How full the volume is; cheap. Of changes that are not committed the worst is assumed, and
    /// what they make free is not known yet.
    public func space() -> SpaceReport {
        let isReserveOpen = self.isReserveOpen
        return SpaceReport(
            arenas: volume.arenas.arenas.map { arena in
                SpaceReport.Arena(
                    address: arena.address.rawValue, size: arena.byteCount,
                    used: UInt64(arena.usedBlocks * Geometry.blockBytes),
                    reserve: isReserveOpen
                        ? 0 : UInt64(arena.reserveBlocks * Geometry.blockBytes))
            },
            promisedBytes: volume.ledger.promisedBlocks.blockBytes,
            available: volume.ledger.availableBlocks.blockBytes)
    }

    /// How full the volume is when everything so far has been committed. A write that finds no room
    /// commits, too, so that is what it can get.
    ///
    /// A volume that refuses changes is reported as it is.
    public func settledSpace() -> SpaceReport {
        try? volume.syncAndReclaim()
        return space()
    }
}
