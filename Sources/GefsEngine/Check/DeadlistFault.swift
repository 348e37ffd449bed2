import GefsFormat

/// What can be wrong with a list of dead blocks.
///
/// A list (W, g) holds blocks born in g that the predecessor of W refers to and W does not.
/// Source: FORMAT 8.2 and 8.3.
public enum DeadlistFault: Hashable, Sendable {
    /// There is no snapshot W.
    case noSnapshot
    /// g is not below W.
    case generations
    /// Only one of head and tail is there.
    case ends(head: BlockAddress, tail: BlockAddress)
    /// A block of the list is damaged.
    case damaged(CorruptBlock)
    /// The chain does not come to the recorded tail.
    case tailNotReached(BlockAddress)
    /// The tail's own link leads on; R follows it.
    case tailChained(BlockAddress, next: BlockAddress, isPlausible: Bool)
    /// An entry is no block of any arena.
    case entryOutside(BlockAddress)
    /// An entry is free already.
    case entryFree(BlockAddress)
    /// An entry is on another list, or twice on this one.
    case entryTwice(BlockAddress, first: DeadlistName)
    /// An entry is still referred to by W, or by one that comes behind it.
    case entryHeld(BlockAddress, by: Generation)
    /// An entry is in use by something that is not one of W's predecessors.
    case entryUsed(BlockAddress, as: BlockUse)
    /// An entry was born in another generation.
    case entryBirth(BlockAddress, found: UInt32)
    /// An entry that is about to be freed is in use.
    case pendingUsed(BlockAddress, as: BlockUse)
    /// An entry is not referred to by the predecessor.
    case entryNotHeld(BlockAddress, by: Generation)

    var address: BlockAddress? {
        switch self {
        case .noSnapshot, .generations, .ends: nil
        case .damaged(let corrupt): corrupt.address
        case .tailNotReached(let address), .tailChained(let address, _, _),
            .entryOutside(let address), .entryFree(let address), .entryTwice(let address, _),
            .entryHeld(let address, _), .entryUsed(let address, _), .entryBirth(let address, _),
            .entryNotHeld(let address, _), .pendingUsed(let address, _):
            address
        }
    }
}

extension DeadlistFault: Fault {
    var severity: Finding.Severity {
        switch self {
        case .noSnapshot, .entryNotHeld: .warning
        case .tailChained(_, _, let isPlausible): isPlausible ? .warning : .error
        default: .error
        }
    }

    var kind: String {
        switch self {
        case .noSnapshot: "deadlist.noSnapshot"
        case .generations: "deadlist.generations"
        case .ends: "deadlist.ends"
        case .damaged: "deadlist.damaged"
        case .tailNotReached: "deadlist.tailNotReached"
        case .tailChained: "deadlist.tailChained"
        case .entryOutside: "deadlist.entryOutside"
        case .entryFree: "deadlist.entryFree"
        case .entryTwice: "deadlist.entryTwice"
        case .entryHeld: "deadlist.entryHeld"
        case .entryUsed: "deadlist.entryUsed"
        case .entryBirth: "deadlist.entryBirth"
        case .pendingUsed: "deadlist.pendingUsed"
        case .entryNotHeld: "deadlist.entryNotHeld"
        }
    }

    /// What is wrong.
    public var description: String {
        switch self {
        case .noSnapshot: "no such snapshot"
        case .generations: "blocks born when or after they died"
        case .ends(let head, let tail): "head \(head), tail \(tail)"
        case .damaged(let corrupt): "block \(corrupt.address): \(corrupt.reason)"
        case .tailNotReached(let tail): "tail \(tail) is never reached"
        case .tailChained(let tail, let next, _): "tail \(tail) chains on to \(next)"
        case .entryOutside(let entry): "entry \(entry) lies outside every arena"
        case .entryFree(let entry): "entry \(entry) is free already"
        case .entryTwice(let entry, let first): "entry \(entry) is also on \(first)"
        case .entryHeld(let entry, let generation):
            "entry \(entry) is still used by snapshot \(generation)"
        case .entryUsed(let entry, let use):
            "entry \(entry) is in use by none of the snapshots before: \(use)"
        case .entryBirth(let entry, let found): "entry \(entry) was born in \(found)"
        case .pendingUsed(let entry, let use):
            "entry \(entry) is to be freed, but in use: \(use)"
        case .entryNotHeld(let entry, let generation):
            "entry \(entry) is not used by its predecessor \(generation)"
        }
    }
}
