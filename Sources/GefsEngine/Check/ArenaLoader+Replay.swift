import GefsFormat

extension ArenaLoader {
    /// Replays the log of an arena up to the barrier of the commit.
    ///
    /// Contradictions are reported and have no effect. A log that breaks off leaves the map
    /// unknown.
    func replay(
        _ index: Int, _ arena: inout CheckedArena, _ head: BlockAddress, _ commit: UInt64
    ) {
        var seen: Set<BlockAddress> = []
        var address = head
        var previous: BlockAddress = arena.address
        while !address.isNone {
            guard address.isAligned, address.rawValue >= arena.start,
                address.rawValue < arena.end
            else {
                return log.add(.arena(index, .logChain(previous, next: address)))
            }
            guard seen.insert(address).inserted else {
                return log.add(.arena(index, .logLoop(address)))
            }
            arena.logBlocks.append(address)
            do throws(DeviceError) {
                let block = try reader.read(address)
                do throws(CorruptBlock) {
                    let view = try ChainBlockView(
                        checking: block, at: address, expecting: .allocationLog)
                    if try apply(view, index, arena, commit) {
                        checkUnusedLink(view, index, arena)
                        arena.isMapKnown = true
                        return
                    }
                    previous = address
                    address = view.next.address
                } catch {
                    return log.add(.arena(index, .logDamaged(error)))
                }
            } catch {
                return log.add(.arena(index, .logUnreadable(address, error)))
            }
        }
        arena.isMapKnown = true
        if commit != 0 { log.add(.arena(index, .noBarrier(commit: commit))) }
    }

    /// Applies the entries of a log block.
    ///
    /// - Returns: whether the barrier was reached.
    private func apply(
        _ view: ChainBlockView, _ index: Int, _ arena: CheckedArena, _ commit: UInt64
    ) throws(CorruptBlock) -> Bool {
        var cursor = view.logEntries()
        while let entry = try cursor.next() {
            switch entry {
            case .sync(let number):
                if number >= commit { return true }
            case .allocate(let start, let byteCount):
                mark(start, byteCount, isFree: false, entry, view.address, index, arena)
            case .free(let start, let byteCount):
                mark(start, byteCount, isFree: true, entry, view.address, index, arena)
            }
        }
        return false
    }

    private func mark(
        _ start: BlockAddress, _ byteCount: UInt64, isFree: Bool, _ entry: LogEntry,
        _ block: BlockAddress, _ index: Int, _ arena: CheckedArena
    ) {
        let blockBytes = UInt64(Geometry.blockBytes)
        // The decoder has made sure of alignment, and that the sum does not overflow.
        guard start.rawValue >= arena.start, start.rawValue + byteCount <= arena.end else {
            return log.add(.arena(index, .logRange(block, entry)))
        }
        let range =
            Int(start.rawValue / blockBytes)..<Int((start.rawValue + byteCount) / blockBytes)
        guard free.isUniform(range, !isFree) else {
            return log.add(.arena(index, .logContradiction(block, entry)))
        }
        free.set(range, to: isFree)
    }

    /// The link of the last block is not followed, but no hash covers it, and the next commit may
    /// be the one to follow it.
    private func checkUnusedLink(
        _ view: ChainBlockView, _ index: Int, _ arena: CheckedArena
    ) {
        let next = view.next.address
        guard !next.isNone else { return }
        if !next.isAligned || next.rawValue < arena.start || next.rawValue >= arena.end {
            log.add(.arena(index, .logChain(view.address, next: next)))
        }
    }
}
