import GefsFormat

/// Reads the arenas of a closed device and replays their logs, and reports what is wrong.
///
/// Source: FORMAT 4 and 5.
final class ArenaLoader {
    let reader: SingleBlockReader
    let log: FindingLog
    /// The blocks of the device that are free by the logs.
    let free: BlockBits
    /// The first byte that no arena may reach: that of the backup superblock.
    private let limit: UInt64
    private let blockBytes = UInt64(Geometry.blockBytes)

    init(reader: SingleBlockReader, deviceBytes: UInt64, log: FindingLog) {
        self.reader = reader
        self.log = log
        limit = deviceBytes - UInt64(Geometry.blockBytes)
        free = BlockBits(count: Int(deviceBytes / UInt64(Geometry.blockBytes)))
    }

    /// Whether each arena has a copy of its header that matches this superblock.
    func hasHeaders(_ superblock: Superblock) -> Bool {
        superblock.arenas.allSatisfy { arena in
            [arena.address, footer(of: arena.address)].contains { address in
                guard let block = try? reader.read(address) else { return false }
                return (try? ArenaHeader(decoding: block, at: address, hash: arena.hash)) != nil
            }
        }
    }

    /// Loads all arenas. One without a usable header is taken from a damaged copy, with no free
    /// map, as long as the copy makes sense.
    ///
    /// - Parameter findingsOnly: the headers are looked at, the logs are not.
    func load(_ superblock: Superblock, findingsOnly: Bool) -> [CheckedArena] {
        var arenas: [CheckedArena] = []
        var expected = BlockAddress(rawValue: blockBytes)
        for (index, reference) in superblock.arenas.enumerated() {
            guard let (header, isVouchedFor) = header(index, reference) else { continue }
            if reference.address != expected {
                log.add(
                    .arena(index, .misplaced(found: reference.address, expected: expected)))
            }
            guard var arena = place(index, reference.address, header) else { continue }
            expected = BlockAddress(rawValue: arena.end)
            if isVouchedFor, !findingsOnly {
                replay(index, &arena, header.logHead, superblock.commitGeneration)
            }
            arenas.append(arena)
        }
        return arenas
    }

    private func footer(of address: BlockAddress) -> BlockAddress {
        BlockAddress(rawValue: address.rawValue &+ blockBytes)
    }

    /// The header in use, and whether the superblock's hash vouches for it.
    private func header(
        _ index: Int, _ reference: Superblock.ArenaReference
    ) -> (ArenaHeader, isVouchedFor: Bool)? {
        var good: ArenaHeader?
        var others: [(copy: ArenaFault.Copy, address: BlockAddress, header: ArenaHeader?)] = []
        var corrupt: [BlockAddress: CorruptBlock] = [:]
        for (copy, address) in [
            (ArenaFault.Copy.header, reference.address),
            (ArenaFault.Copy.footer, footer(of: reference.address)),
        ] {
            do throws(DeviceError) {
                let block = try reader.read(address)
                do throws(CorruptBlock) {
                    let header = try ArenaHeader(
                        decoding: block, at: address, hash: reference.hash)
                    good = good ?? header
                } catch {
                    corrupt[address] = error
                    let header = try? ArenaHeader(decoding: block, at: address)
                    let isWhole = header.map { isCanonical(block, $0) } ?? false
                    others.append((copy, address, isWhole ? header : nil))
                }
            } catch {
                log.add(.arena(index, .unreadable(copy, address, error)))
            }
        }
        for (copy, address, header) in others {
            // An interrupted commit leaves one well-formed copy of another generation.
            if let good, let header, isSuccessor(header, of: good, reference.address) {
                log.add(.arena(index, .outdated(copy, address)))
            } else if let error = corrupt[address] {
                log.add(.arena(index, .damaged(copy, error)))
            }
        }
        if let good { return (good, true) }
        log.add(.arena(index, .unusable(reference.address)))
        return others.compactMap(\.header).first.map { ($0, false) }
    }

    /// Whether a block is just what the header encodes to: nothing behind the fields.
    private func isCanonical(_ block: UnsafeRawBufferPointer, _ header: ArenaHeader) -> Bool {
        withUnsafeTemporaryAllocation(
            byteCount: Geometry.blockBytes, alignment: MemoryLayout<UInt64>.alignment
        ) { copy in
            header.encode(into: copy)
            return copy.elementsEqual(block)
        }
    }

    private func isSuccessor(
        _ header: ArenaHeader, of good: ArenaHeader, _ address: BlockAddress
    ) -> Bool {
        let (start, startOverflow) = address.rawValue.addingReportingOverflow(2 * blockBytes)
        let (end, endOverflow) = start.addingReportingOverflow(good.byteCount)
        return !startOverflow && !endOverflow && header.byteCount == good.byteCount
            && header.logHead.rawValue >= start && header.logHead.rawValue < end
    }

    /// The arena as far as it lies on the device.
    private func place(
        _ index: Int, _ address: BlockAddress, _ header: ArenaHeader
    ) -> CheckedArena? {
        let (start, startOverflow) = address.rawValue.addingReportingOverflow(2 * blockBytes)
        let (sum, endOverflow) = start.addingReportingOverflow(header.byteCount)
        let end = startOverflow || endOverflow ? .max : sum
        if end > limit { log.add(.arena(index, .pastEnd(end: end, limit: limit))) }
        let slopBytes = UInt64(Geometry.arenaSlopBlocks) * blockBytes
        guard !startOverflow, start < limit, min(end, limit) - start > slopBytes else {
            return nil
        }
        return CheckedArena(
            index: index, address: address, byteCount: min(end, limit) - start,
            logBlocks: [], isMapKnown: false)
    }
}
