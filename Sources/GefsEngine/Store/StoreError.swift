import GefsFormat

/// What can be wrong with arenas, their logs and their free maps.
public enum StoreError: Error, Hashable, Sendable {
    case device(DeviceError)
    /// There is no usable superblock.
    case superblock(ReadError)
    /// A log block that cannot be one.
    case corrupt(CorruptBlock)
    /// Neither copy of an arena's header matches the superblock.
    case arenaUnusable(index: Int, header: CorruptBlock, footer: CorruptBlock)
    /// An arena that overlaps its neighbour or reaches past the device.
    case arenaOutside(index: Int, address: BlockAddress, byteCount: UInt64)
    /// A log goes on in a block that its arena does not have.
    case logOutside(arena: Int, address: BlockAddress)
    /// A log meets a block of its own again.
    case logLoop(arena: Int, address: BlockAddress)
    /// An entry, in the log block at `address`, about a range that its arena does not have.
    case logEntryOutside(arena: Int, address: BlockAddress, entry: LogEntry)
    /// An entry, in the log block at `address`, that takes used blocks or frees free ones.
    case logContradiction(arena: Int, address: BlockAddress, entry: LogEntry)
    /// A block of the log is free according to the log.
    case logBlockFree(arena: Int, address: BlockAddress)
    /// A block to be freed lies in no arena.
    case notInArena(BlockAddress)
    /// A block to be freed is free already.
    case notAllocated(BlockAddress)
    /// A block to be freed is part of a log that is in use.
    case usedByLog(BlockAddress)
    /// An arena has no block left for its log.
    case logFull(arena: Int)
    /// The number of a commit that is not above all barriers on the disk.
    case barrierNotNewer(arena: Int, barrier: UInt64, last: UInt64)
}

extension StoreError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .device(let error): error.description
        case .superblock(let error): error.description
        case .corrupt(let error): error.description
        case .arenaUnusable(let index, let header, let footer):
            "arena \(index): neither copy is usable: \(header); \(footer)"
        case .arenaOutside(let index, let address, let byteCount):
            "arena \(index): \(byteCount) bytes at \(address) overlap or leave the device"
        case .logOutside(let arena, let address):
            "arena \(arena): log goes on at \(address), outside of the arena"
        case .logLoop(let arena, let address): "arena \(arena): log loops at \(address)"
        case .logEntryOutside(let arena, let address, let entry):
            "arena \(arena): log block \(address): \(entry) is outside of the arena"
        case .logContradiction(let arena, let address, let entry):
            "arena \(arena): log block \(address): \(entry) contradicts the entries before"
        case .logBlockFree(let arena, let address):
            "arena \(arena): log block \(address) is free according to the log"
        case .notInArena(let address): "block \(address) lies in no arena"
        case .notAllocated(let address): "block \(address) is free already"
        case .usedByLog(let address): "block \(address) belongs to an allocation log"
        case .logFull(let arena): "arena \(arena): no block left for the log"
        case .barrierNotNewer(let arena, let barrier, let last):
            "arena \(arena): barrier \(barrier) is not above \(last)"
        }
    }
}
