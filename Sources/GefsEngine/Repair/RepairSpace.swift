import GefsFormat

/// Why a repair cannot be planned.
enum RepairError: Error, Hashable {
    /// There is no block for what has to be written.
    case noSpace
    /// The root of the snapshot tree is gone: nothing leads to the files.
    case noSnapshotTree(String)
    /// A tree that was found readable is not.
    case unreadable(String)
    /// What is wrong is still wrong after several steps.
    case endless
    /// Whoever watches the progress wants no more.
    case interrupted
}

/// Blocks that a repair may write to: those that nothing of the state on disk uses, whatever the
/// logs say.
///
/// Blocks that the logs call free are taken first, so that what is merely unreachable lasts as long
/// as it can.
final class RepairSpace {
    private let table: ArenaTable
    /// Used by the state on disk, or handed out.
    private let taken: BlockBits
    /// Free by a log that could be read.
    private let free: BlockBits
    private var cursors: [(preferred: Int, any: Int)]
    /// How many blocks of each arena are left before only its own log gets some.
    private var rooms: [Int]
    private var next = 0

    init(table: ArenaTable, taken: BlockBits, free: BlockBits) {
        self.table = table
        self.taken = taken
        self.free = free
        cursors = table.arenas.indices.map {
            let start = table.blocks(of: $0).lowerBound
            return (start, start)
        }
        rooms = table.arenas.indices.map { Self.room(of: $0, table, taken) }
    }

    /// How many blocks of an arena may be taken for anything but its log.
    private static func room(of arena: Int, _ table: ArenaTable, _ taken: BlockBits) -> Int {
        let end = Int(table.arenas[arena].usableEnd / UInt64(Geometry.blockBytes))
        var position = table.blocks(of: arena).lowerBound
        var (count, runs) = (0, 0)
        while position < end, end <= taken.count {
            let next = taken.endOfRun(from: position, to: end)
            if !taken[position] {
                count += next - position
                runs += 1
            }
            position = next
        }
        // What the old state alone uses becomes free, too, and adds runs.
        return count - 2 * LogLayout.blockCountMax(rangeCount: runs) - 2
    }

    /// A block of any arena.
    func allocate() throws(RepairError) -> BlockAddress {
        for (isPreferred, leavesRoom) in [
            (true, true), (false, true), (true, false), (false, false),
        ] {
            for _ in cursors.indices {
                let arena = next % cursors.count
                next += 1
                guard rooms[arena] > 0 || !leavesRoom else { continue }
                if let address = take(arena, isPreferred: isPreferred) { return address }
            }
        }
        throw .noSpace
    }

    /// A block of one arena.
    func allocate(inArena arena: Int) throws(RepairError) -> BlockAddress {
        if let address = take(arena, isPreferred: true) ?? take(arena, isPreferred: false) {
            return address
        }
        throw .noSpace
    }

    private func take(_ arena: Int, isPreferred: Bool) -> BlockAddress? {
        let end = Int(table.arenas[arena].usableEnd / UInt64(Geometry.blockBytes))
        var block = isPreferred ? cursors[arena].preferred : cursors[arena].any
        while block < end, taken[block] || isPreferred && !free[block] { block += 1 }
        if isPreferred { cursors[arena].preferred = block } else { cursors[arena].any = block }
        guard block < end else { return nil }
        taken.insert(block)
        rooms[arena] -= 1
        return BlockAddress(rawValue: UInt64(block) * UInt64(Geometry.blockBytes))
    }
}
