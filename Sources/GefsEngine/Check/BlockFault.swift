import GefsFormat

/// What can be wrong with the use of a block.
public enum BlockFault: Hashable, Sendable {
    /// The pointer is no multiple of the block size, or leads outside every arena.
    case outside
    /// It is in use, but free by the allocation log.
    case markedFree
    /// It is used for something else, too.
    case usedTwice(first: BlockUse)
    /// Two pointers to it disagree about when it was born.
    case births(found: Generation, first: UInt32)
    /// Its contents do not have the hash that the pointer states.
    case hash(found: UInt64, expected: UInt64)
    /// It cannot be read.
    case unreadable(DeviceError)
    /// It is born in a generation that has not been handed out.
    case bornInFuture(Generation, next: Generation)
    /// It is born after the oldest snapshot that refers to it.
    case bornLater(Generation, than: Generation)
    /// It is born before a snapshot's predecessor, which does not refer to it.
    ///
    /// That is how a repair leaves a fork with what its base has lost, and no harm: a snapshot that
    /// goes frees what was born behind the one before it, and a list that names such a block is an
    /// error by itself. The block may leak when the snapshot goes, until the next check.
    case notInherited(Generation, by: Generation, from: Generation)
    /// Two snapshots refer to it, and each is taken for the first one that does: who drops one of
    /// them frees it, whatever the other one needs.
    case ownedTwice(Generation, by: Generation, first: Generation)
}

extension BlockFault: Fault {
    var severity: Finding.Severity {
        if case .notInherited = self { .note } else { .error }
    }

    var kind: String {
        switch self {
        case .outside: "block.outside"
        case .markedFree: "block.markedFree"
        case .usedTwice: "block.usedTwice"
        case .births: "block.births"
        case .hash: "block.hash"
        case .unreadable: "block.unreadable"
        case .bornInFuture: "block.bornInFuture"
        case .bornLater: "block.bornLater"
        case .notInherited: "block.notInherited"
        case .ownedTwice: "block.ownedTwice"
        }
    }

    /// What is wrong.
    public var description: String {
        switch self {
        case .outside: "lies outside every arena"
        case .markedFree: "is marked free"
        case .usedTwice(let first): "is used twice, first as \(first)"
        case .births(let found, let first):
            "pointer says born in \(found), another one says \(first)"
        case .hash(let found, let expected):
            "contents hash to \(hexadecimal(found)), expected \(hexadecimal(expected))"
        case .unreadable(let error): error.description
        case .bornInFuture(let birth, let next):
            "born in \(birth), but the next generation is \(next)"
        case .bornLater(let birth, let generation):
            "born in \(birth), but used by snapshot \(generation)"
        case .notInherited(let birth, let generation, let before):
            "born in \(birth), used by snapshot \(generation), but not by \(before) before it"
        case .ownedTwice(let birth, let generation, let first):
            "born in \(birth), and snapshots \(first) and \(generation) have it on their own"
        }
    }
}

/// Space that is lost.
public enum SpaceFault: Hashable, Sendable {
    /// Blocks are allocated, but nothing refers to them.
    case leaked(blockCount: Int)
}

extension SpaceFault: Fault {
    var severity: Finding.Severity { .warning }

    var kind: String { "space.leaked" }

    /// What is lost.
    public var description: String {
        switch self {
        case .leaked(let count): "\(count) allocated blocks are referenced by nothing (leaked)"
        }
    }
}
