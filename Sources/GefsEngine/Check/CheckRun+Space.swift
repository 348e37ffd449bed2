import GefsFormat

/// Allocated blocks that nothing refers to.
extension CheckRun {
    /// Claims the blocks of the allocation logs.
    func claimLogs() {
        for arena in arenas.arenas {
            for address in arena.logBlocks {
                guard let block = arenas.block(at: address) else { continue }
                let use = BlockUse.allocationLog(arena: arena.index)
                if arena.isMapKnown, free[block] { log.add(.block(address, use, .markedFree)) }
                let entry = BlockOwners.Entry(
                    hash: 0, birth: 0, owner: UInt32(arena.index), identity: 0,
                    role: .allocationLog)
                if let first = owners.claim(block, entry) {
                    log.add(.block(address, use, .usedTwice(first: firstUse(of: block, first))))
                }
            }
        }
    }

    /// Counts what is allocated, and what of it is neither in use nor on a deadlist.
    ///
    /// Arenas whose map is not known are left out. Without the snapshot tree nothing is known to be
    /// in use; without a node of another tree, what only that node refers to counts as leaked.
    func checkLeaks() {
        guard !isCancelled else { return }
        for (place, arena) in arenas.arenas.enumerated() where arena.isMapKnown {
            let start = arenas.blocks(of: place).lowerBound
            let end = Int(arena.usableEnd / UInt64(Geometry.blockBytes))
            var block = start
            while block < end {
                let runEnd = free.endOfRun(from: block, to: end)
                if !free[block] {
                    report.totals.allocatedBlocks += runEnd - block
                    for block in block..<runEnd
                    where owners[block].role == .none && !dead[block] { noteLeak(block) }
                }
                block = runEnd
            }
        }
        if snapshotTreeFlags.contains(.incomplete) {
            report.totals.leakedBlocks = 0
            report.leakedRanges = []
        }
        if report.totals.leakedBlocks > 0 {
            log.add(.space(.leaked(blockCount: report.totals.leakedBlocks)))
        }
    }

    private func noteLeak(_ block: Int) {
        report.totals.leakedBlocks += 1
        guard options.listsLeaks else { return }
        let start = UInt64(block) * UInt64(Geometry.blockBytes)
        let end = start + UInt64(Geometry.blockBytes)
        if let last = report.leakedRanges.last, last.upperBound == start {
            report.leakedRanges[report.leakedRanges.count - 1] = last.lowerBound..<end
        } else {
            report.leakedRanges.append(start..<end)
        }
    }
}
