import GefsFormat

/// Which commit a block is not older than, as far as logs tell.
///
/// What is in a log before the barrier of a commit, and behind the one before, that commit has
/// done (FORMAT 5.2). A block that was freed and used again between two barriers is in no log, so
/// the commit that is found is the first one that may have written it. Blocks of logs that were
/// compressed since are used as well, as long as nothing was written over them.
struct CommitTimeline {
    /// The blocks that are asked for, in the order of their places, and the last commit that
    /// allocated each; 0 where none is known.
    private let blocks: [Int]
    private var commits: [UInt64]
    /// The greatest barrier of any log.
    private(set) var newest: UInt64 = 0

    /// Most blocks of a log that are looked at for the barrier behind an entry.
    private static let hopsMax = 64
    /// Damage can make a log say anything, as often as it has entries.
    private static let stepsMax = 1 << 26
    private var steps = 0

    /// - Parameters:
    ///   - blocks: what will be asked for, in the order of their places.
    ///   - logs: where blocks with the form of a log's lie.
    init(of blocks: [Int], _ logs: [BlockAddress], _ nodes: RepairNodes, _ table: ArenaTable) {
        self.blocks = blocks
        commits = Array(repeating: 0, count: blocks.count)
        for address in logs { read(address, nodes, table) }
    }

    /// The commit that a block is not older than; nil where no log that is left says so.
    func commit(of block: Int) -> UInt64? {
        let place = place(of: block)
        guard place < blocks.count, blocks[place] == block, commits[place] > 0 else { return nil }
        return commits[place]
    }

    /// Where the first block that is not below another stands.
    private func place(of block: Int) -> Int {
        var (low, high) = (0, blocks.count)
        while low < high {
            let middle = (low + high) / 2
            if blocks[middle] < block { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private mutating func read(
        _ address: BlockAddress, _ nodes: RepairNodes, _ table: ArenaTable
    ) {
        var open: [Range<Int>] = []
        var last: UInt64 = 0
        Self.forEachEntry(in: address, nodes) { entry in
            switch entry {
            case .allocate(let start, let byteCount):
                guard let first = table.block(at: start), let position = table.position(of: first)
                else { break }
                let end = min(
                    first + Int(clamping: byteCount / UInt64(Geometry.blockBytes)),
                    table.blocks(of: position).upperBound)
                if first < end { open.append(first..<end) }
            case .free: break
            case .sync(let number):
                note(open, number)
                open = []
                last = number
            }
            return true
        }
        guard !open.isEmpty, let next = Self.barrier(behind: address, nodes) else { return }
        // A block whose successor was used for something else may be followed by anything.
        if next > last { note(open, next) }
    }

    private mutating func note(_ ranges: [Range<Int>], _ commit: UInt64) {
        newest = max(newest, commit)
        for range in ranges {
            var place = place(of: range.lowerBound)
            while place < blocks.count, blocks[place] < range.upperBound, steps < Self.stepsMax {
                commits[place] = max(commits[place], commit)
                place += 1
                steps += 1
            }
        }
    }

    /// The first barrier in the blocks that follow one.
    private static func barrier(behind address: BlockAddress, _ nodes: RepairNodes) -> UInt64? {
        var address = address
        for _ in 0..<hopsMax {
            guard case .success(let buffer) = nodes.read(address),
                let view = try? ChainBlockView(
                    checking: buffer.bytes, at: address, expecting: .allocationLog),
                let next = try? view.checkedNext(), !next.isNone
            else { return nil }
            address = next
            var barrier: UInt64?
            forEachEntry(in: next, nodes) { entry in
                if case .sync(let number) = entry { barrier = number }
                return barrier == nil
            }
            if let barrier { return barrier }
        }
        return nil
    }

    /// The greatest barrier in the chain that starts with a block.
    static func newestBarrier(from head: BlockAddress, _ nodes: RepairNodes) -> UInt64 {
        var newest: UInt64 = 0
        var address = head
        var seen: Set<BlockAddress> = []
        while !address.isNone, seen.insert(address).inserted,
            case .success(let buffer) = nodes.read(address),
            let view = try? ChainBlockView(
                checking: buffer.bytes, at: address, expecting: .allocationLog)
        {
            forEachEntry(in: address, nodes) { entry in
                if case .sync(let number) = entry { newest = max(newest, number) }
                return true
            }
            address = (try? view.checkedNext()) ?? .none
        }
        return newest
    }

    /// - Parameter body: says whether to go on.
    private static func forEachEntry(
        in address: BlockAddress, _ nodes: RepairNodes, _ body: (LogEntry) -> Bool
    ) {
        guard case .success(let buffer) = nodes.read(address),
            let view = try? ChainBlockView(
                checking: buffer.bytes, at: address, expecting: .allocationLog)
        else { return }
        var cursor = view.logEntries()
        while let entry = try? cursor.next() { guard body(entry) else { return } }
    }
}
