import GefsFormat

/// What can be wrong with an arena: its place, its header and footer, its allocation log.
public enum ArenaFault: Hashable, Sendable {
    /// One of the two copies of what is known about an arena.
    public enum Copy: Hashable, Sendable {
        /// The first block of the arena.
        case header
        /// The block behind it.
        case footer
    }

    /// It does not lie behind the arena before it.
    case misplaced(found: BlockAddress, expected: BlockAddress)
    /// It reaches past the last block but one of the device.
    case pastEnd(end: UInt64, limit: UInt64)
    /// A copy cannot be read.
    case unreadable(Copy, BlockAddress, DeviceError)
    /// A copy has neither the hash in the superblock nor the form of a header.
    case damaged(Copy, CorruptBlock)
    /// A copy is well formed but of another commit: a commit was interrupted.
    case outdated(Copy, BlockAddress)
    /// Neither copy has the hash in the superblock.
    case unusable(BlockAddress)
    /// A log block cannot be read.
    case logUnreadable(BlockAddress, DeviceError)
    /// A log block is damaged.
    case logDamaged(CorruptBlock)
    /// The log comes back to a block of its own.
    case logLoop(BlockAddress)
    /// The chain leads out of the arena.
    case logChain(BlockAddress, next: BlockAddress)
    /// A log entry contradicts the ones before: frees what is free, or takes what is taken.
    case logContradiction(BlockAddress, LogEntry)
    /// A log entry is about bytes outside the arena.
    case logRange(BlockAddress, LogEntry)
    /// The log does not end in the barrier of the last commit. That is so in fresh arenas, and in
    /// those that sat commits out.
    case noBarrier(commit: UInt64)

    var address: BlockAddress? {
        switch self {
        case .misplaced(let address, _), .unreadable(_, let address, _),
            .outdated(_, let address), .unusable(let address), .logUnreadable(let address, _),
            .logLoop(let address), .logChain(let address, _), .logContradiction(let address, _),
            .logRange(let address, _):
            address
        case .damaged(_, let corrupt), .logDamaged(let corrupt): corrupt.address
        case .pastEnd, .noBarrier: nil
        }
    }
}

extension ArenaFault: Fault {
    var severity: Finding.Severity {
        switch self {
        case .outdated: .warning
        case .noBarrier: .note
        default: .error
        }
    }

    var kind: String {
        switch self {
        case .misplaced: "arena.misplaced"
        case .pastEnd: "arena.pastEnd"
        case .unreadable: "arena.unreadable"
        case .damaged: "arena.damaged"
        case .outdated: "arena.outdated"
        case .unusable: "arena.unusable"
        case .logUnreadable: "arena.logUnreadable"
        case .logDamaged: "arena.logDamaged"
        case .logLoop: "arena.logLoop"
        case .logChain: "arena.logChain"
        case .logContradiction: "arena.logContradiction"
        case .logRange: "arena.logRange"
        case .noBarrier: "arena.noBarrier"
        }
    }

    /// What is wrong.
    public var description: String {
        switch self {
        case .misplaced(let found, let expected): "lies at \(found), expected \(expected)"
        case .pastEnd(let end, let limit):
            "ends at \(hexadecimal(end)), the device has room up to \(hexadecimal(limit))"
        case .unreadable(let copy, let address, let error): "\(copy) at \(address): \(error)"
        case .damaged(let copy, let corrupt): "\(copy) at \(corrupt.address): \(corrupt.reason)"
        case .outdated(let copy, let address):
            "\(copy) at \(address): belongs to another commit (interrupted)"
        case .unusable(let address):
            "neither header nor footer at \(address) matches the superblock"
        case .logUnreadable(let address, let error): "log block \(address): \(error)"
        case .logDamaged(let corrupt): "log block \(corrupt.address): \(corrupt.reason)"
        case .logLoop(let address): "log loops at \(address)"
        case .logChain(let address, let next):
            "log block \(address): chain leads to \(next), outside the arena"
        case .logContradiction(let address, let entry):
            "log block \(address): \(entry.outline) contradicts the log before it"
        case .logRange(let address, let entry):
            "log block \(address): \(entry.outline) is not within the arena"
        case .noBarrier(let commit): "log has no barrier for commit \(commit)"
        }
    }
}

extension ArenaFault.Copy: CustomStringConvertible {
    /// `header` or `footer`.
    public var description: String {
        switch self {
        case .header: "header"
        case .footer: "footer"
        }
    }
}
