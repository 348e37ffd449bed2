import GefsFormat

/// Where replay stands in a log.
private struct ReplayState: ~Copyable {
    var map: FreeMap
    var chain: [BlockAddress] = []
    var members: Set<BlockAddress> = []
    var lastBarrier: UInt64?
    /// Entry bytes of the last block up to where replay stopped; nil if it has not.
    var stoppedAt: Int?
}

extension Arena {
    /// Rebuilds an arena from its log.
    ///
    /// - Parameters:
    ///   - header: the copy that matches the superblock.
    ///   - headerHash: its hash.
    ///   - commitGeneration: Q of the superblock: the first barrier not below it ends the replay.
    /// - Throws: `.corrupt`, `.log…` or `.device`.
    ///
    /// Source: FORMAT 5.2, 5.3.
    static func replay(
        index: Int, address: BlockAddress, header: ArenaHeader, headerHash: UInt64,
        staleCopy: StaleCopy?, commitGeneration: UInt64, device: any BlockDevice
    ) throws(StoreError) -> Arena {
        let blockBytes = UInt64(Geometry.blockBytes)
        let start = address.rawValue + 2 * blockBytes
        let end = start + header.byteCount
        var state = ReplayState(map: FreeMap(blockCount: Int(header.byteCount / blockBytes)))
        var reader = LogReader(device)
        var position = header.logHead
        while true {
            guard position.isAligned, position.rawValue >= start, position.rawValue < end else {
                throw .logOutside(arena: index, address: position)
            }
            guard state.members.insert(position).inserted else {
                throw .logLoop(arena: index, address: position)
            }
            state.chain.append(position)
            let block: UnsafeRawBufferPointer
            let view: ChainBlockView
            do {
                block = try reader.read(position, before: end)
                view = try ChainBlockView(
                    checking: block, at: position, expecting: .allocationLog)
            } catch let error as DeviceError {
                throw .device(error)
            } catch let error as CorruptBlock {
                throw .corrupt(error)
            } catch {
                throw .logOutside(arena: index, address: position)
            }
            try apply(
                view, index: index, start: start, commitGeneration: commitGeneration, to: &state)
            let next: BlockAddress
            if state.stoppedAt == nil {
                do throws(CorruptBlock) {
                    next = try view.checkedNext()
                } catch {
                    throw .corrupt(error)
                }
            } else {
                next = .none
            }
            if next.isNone {
                return try finish(
                    state, last: view, block: block, index: index, address: address,
                    header: header, headerHash: headerHash, staleCopy: staleCopy)
            }
            position = next
        }
    }

    private static func apply(
        _ view: ChainBlockView, index: Int, start: UInt64, commitGeneration: UInt64,
        to state: inout ReplayState
    ) throws(StoreError) {
        let blockBytes = UInt64(Geometry.blockBytes)
        let limit = UInt64(state.map.blockCount)
        var cursor = view.logEntries()
        while true {
            let entry: LogEntry
            let entryStart = cursor.offset
            do throws(CorruptBlock) {
                guard let next = try cursor.next() else { return }
                entry = next
            } catch {
                throw .corrupt(error)
            }
            let first: BlockAddress
            let byteCount: UInt64
            let isFree: Bool
            switch entry {
            case .sync(let generation):
                // A barrier of a later commit would stop replay again when ours have come behind it,
                // and what they log would be lost: it is cut off.
                if generation > commitGeneration {
                    state.stoppedAt = entryStart
                    return
                }
                state.lastBarrier = generation
                if generation == commitGeneration {
                    state.stoppedAt = cursor.offset
                    return
                }
                continue
            case .allocate(let address, let count):
                (first, byteCount, isFree) = (address, count, false)
            case .free(let address, let count):
                (first, byteCount, isFree) = (address, count, true)
            }
            guard first.rawValue >= start else {
                throw .logEntryOutside(arena: index, address: view.address, entry: entry)
            }
            let from = (first.rawValue - start) / blockBytes
            let count = byteCount / blockBytes
            guard from < limit, count <= limit - from else {
                throw .logEntryOutside(arena: index, address: view.address, entry: entry)
            }
            let range = Int(from)..<Int(from + count)
            guard isFree ? state.map.release(range) : state.map.take(range) else {
                throw .logContradiction(arena: index, address: view.address, entry: entry)
            }
        }
    }

    private static func finish(
        _ state: consuming ReplayState, last view: ChainBlockView, block: UnsafeRawBufferPointer,
        index: Int, address: BlockAddress, header: ArenaHeader, headerHash: UInt64,
        staleCopy: StaleCopy?
    ) throws(StoreError) -> Arena {
        let start = address.rawValue + 2 * UInt64(Geometry.blockBytes)
        for block in state.chain
        where state.map.isFree(Int((block.rawValue - start) / UInt64(Geometry.blockBytes))) {
            throw .logBlockFree(arena: index, address: block)
        }
        var log = ArenaLog(
            chain: state.chain, tailSector: Array(block[..<Geometry.sectorBytes]),
            tailBytes: state.stoppedAt ?? view.usedBytes, lastBarrier: state.lastBarrier)
        if log.tailBytes < view.usedBytes || !view.next.isNone {
            log.needsCut = true
            log.tailSector = cutSector(block, at: view.address, keeping: log.tailBytes)
        }
        state.map.settle()
        return Arena(
            index: index, address: address, header: header, headerHash: headerHash,
            staleCopy: staleCopy, map: state.map, log: log)
    }

    /// The first sector of a log block that ends behind `byteCount` entry bytes, chain included.
    private static func cutSector(
        _ block: UnsafeRawBufferPointer, at address: BlockAddress, keeping byteCount: Int
    ) -> [UInt8] {
        let copy = UnsafeMutableRawBufferPointer.allocate(
            byteCount: Geometry.blockBytes, alignment: 8)
        defer { copy.deallocate() }
        copy.copyMemory(from: block)
        if let base = copy.baseAddress {
            var builder = ChainBlockBuilder(continuing: base, usedBytes: byteCount)
            builder.finish(kind: .allocationLog)
            ChainBlockBuilder.seal(base, at: address)
        }
        return Array(copy[..<Geometry.sectorBytes])
    }
}
