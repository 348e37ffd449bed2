import GefsFormat

/// What takes the place of superblocks of which none can be used, or none of a late commit.
///
/// All that is in a superblock can be found elsewhere but where the snapshot tree is, and what was
/// pending: arenas lie one behind the other, logs end in the number of the commit, files say which
/// numbers are taken. The snapshot tree is then looked for like one that has lost its root
/// (`LostHistory`), and what was pending is free anyway once the logs follow from the trees.
/// Source: FORMAT 3, 4.1, 5.
struct LostSuperblock {
    /// All but the snapshot tree's root is right.
    let superblock: Superblock
    /// Where one that is said to be of an old commit has its snapshot tree, if that is still there.
    let rival: BlockPointer?
    let note: RepairNote

    private static let blockBytes = UInt64(Geometry.blockBytes)

    /// - Returns: nil where the superblocks that are there will do, or where even the arenas cannot
    ///   be made out.
    init?(_ device: any BlockDevice) {
        let nodes = RepairNodes(device, tried: [])
        let known = try? SuperblockPair(reading: device).loaded()
        // It was made so by a repair that was cut off, and stands for what was there then.
        if let known, Self.standInKnowledge(known) != nil { return nil }
        guard device.byteCount >= ClosedDevice.deviceBytesMin,
            device.byteCount <= ClosedDevice.deviceBytesMax,
            let arenas = Self.arenas(device, nodes), !arenas.isEmpty,
            arenas.count <= Geometry.arenaCountMax
        else { return nil }
        let newest =
            arenas.compactMap { arena in
                arena.logHead.map { CommitTimeline.newestBarrier(from: $0, nodes) }
            }.max() ?? 0
        // A crash leaves logs that are one commit ahead, never more, and then what the superblock
        // leads to was not written over (FORMAT 9.2).
        if let known {
            let isLost = LostHistory.isLost(known.snapshotTreeRoot, nodes)
            rival = isLost ? nil : known.snapshotTreeRoot
            let isBehind =
                newest == known.commitGeneration + 1 && isLost && !Self.isInterrupted(known, nodes)
            guard isBehind || newest > known.commitGeneration + 1 else { return nil }
        } else {
            rival = nil
        }
        superblock = Superblock(
            snapshotTreeHeight: 1, snapshotTreeRoot: Self.nowhere,
            features: known?.features ?? [], nextQid: known?.nextQid ?? 0,
            nextGeneration: known?.nextGeneration ?? .zero, commitGeneration: max(newest, 1),
            arenas: arenas.map {
                Superblock.ArenaReference(address: $0.address, hash: $0.hash)
            })
        guard superblock.fault == nil else { return nil }
        note = RepairNote(
            .mended, "superblock",
            known.map {
                "both superblocks are of commit \($0.commitGeneration), but logs of commit \(newest); made anew"
            }
                ?? "neither superblock can be used; made anew from the arenas, \(arenas.count) of which are found"
        )
    }

    // MARK: Standing in

    /// Nothing hashes to what the first block is expected to: the root is lost.
    private static let nowhere = BlockPointer(
        address: BlockAddress(rawValue: 0), hash: 0, generation: .zero)

    /// What is written before anything else where the snapshot tree is lost: it says which numbers
    /// were taken and which headers were valid, so that a repair that was cut off and is begun again
    /// does not take what the first one wrote for what was there. No block hashes to its root.
    ///
    /// - Parameter knowsPending: whether the superblock is of the last commit.
    static func standIn(for superblock: Superblock, knowsPending: Bool) -> Superblock {
        var result = superblock
        if knowsPending {
            result.snapshotTreeRoot.hash = 0
        } else {
            result.snapshotTreeRoot = nowhere
            result.snapshotTreeHeight = 1
            result.pendingHead = .none
            result.pendingTail = .none
        }
        return result
    }

    /// What a superblock knows that stands in; nil for any other one.
    static func standInKnowledge(_ superblock: Superblock) -> LostHistory.Knowledge? {
        guard superblock.snapshotTreeRoot.hash == 0 else { return nil }
        return superblock.snapshotTreeRoot == nowhere ? .numbers : .all
    }

    /// Whether the next commit, or a repair, was cut off when it had written headers and not the
    /// superblock: then the footers are still those of this one.
    private static func isInterrupted(_ superblock: Superblock, _ nodes: RepairNodes) -> Bool {
        superblock.arenas.contains { arena in
            let address = arena.address.rawValue
            guard let (_, first) = header(address, nodes),
                let (_, second) = header(address + blockBytes, nodes)
            else { return false }
            return first != arena.hash && second == arena.hash
        }
    }

    // MARK: One bit

    /// The superblock that is there but for one bit; nil where one is right, or none is so.
    static func flipped(on device: any BlockDevice) -> (round: RepairRound, note: RepairNote)? {
        let pair = SuperblockPair(reading: device)
        let copies = [(pair.primary, BlockAddress(rawValue: 0)), (pair.backup, pair.backupAddress)]
        let newest = copies.compactMap { try? $0.0.get().commitGeneration }.max()
        for (copy, address) in copies {
            guard case .failure(.corrupt) = copy, let buffer = read(address, device),
                let (superblock, bit) = corrected(buffer, at: address),
                newest.map({ superblock.commitGeneration > $0 }) ?? true
            else { continue }
            var round = RepairRound()
            round.copies = [StoreWrite(at: address, buffer)]
            let note = RepairNote(
                .mended, "superblock",
                "\(address): bit \(bit % 8) of byte \(bit / 8) was inverted")
            return (round, note)
        }
        return nil
    }

    /// Inverts the bit of a superblock that is wrong, if it is only one. 64 bits of hash leave no
    /// room for chance.
    private static func corrected(
        _ buffer: BlockBuffer, at address: BlockAddress
    ) -> (Superblock, bit: Int)? {
        for bit in 0..<Superblock.byteCountMax * 8 {
            buffer.mutableBytes[bit / 8] ^= 1 << UInt8(bit % 8)
            if let superblock = try? Superblock(decoding: buffer.bytes, at: address) {
                return (superblock, bit)
            }
            buffer.mutableBytes[bit / 8] ^= 1 << UInt8(bit % 8)
        }
        return nil
    }

    private static func read(_ address: BlockAddress, _ device: any BlockDevice) -> BlockBuffer? {
        let buffer = BlockBuffer()
        return (try? device.read(at: address.rawValue, into: buffer.mutableBytes)) == nil
            ? nil : buffer
    }

    // MARK: Arenas

    private struct FoundArena {
        var address: BlockAddress
        var hash: UInt64
        var byteCount: UInt64
        /// Nil where neither copy of the header is there.
        var logHead: BlockAddress?
    }

    /// The arenas, each of which begins where the one before it ends; nil where it is not known
    /// how long one is.
    private static func arenas(
        _ device: any BlockDevice, _ nodes: RepairNodes
    ) -> [FoundArena]? {
        let end = DeviceLayout.backupSuperblock(deviceBytes: device.byteCount)
        let atReam =
            device.byteCount < DeviceLayout.reamBytesMin
            ? nil : DeviceLayout.arenasAtReam(deviceBytes: device.byteCount).byteCount
        var arenas: [FoundArena] = []
        var position = blockBytes
        let slop = UInt64(Geometry.arenaSlopBlocks) * blockBytes
        while position + 2 * blockBytes + slop < end, arenas.count < Geometry.arenaCountMax {
            let address = BlockAddress(rawValue: position)
            let room = end - position - 2 * blockBytes
            var arena = FoundArena(address: address, hash: 0, byteCount: 0, logHead: nil)
            if let (header, hash) = header(position, nodes) ?? header(position + blockBytes, nodes),
                header.byteCount <= room
            {
                arena.byteCount = header.byteCount
                arena.hash = hash
                arena.logHead = header.logHead
            } else {
                // All arenas that were made together are of one size; the next header proves it.
                let sizes = [arenas.last?.byteCount, atReam].compactMap { $0 }.filter {
                    $0 <= room
                }
                let size =
                    sizes.first { size in
                        let next = position + 2 * blockBytes + size
                        return header(next, nodes) != nil || header(next + blockBytes, nodes) != nil
                    } ?? sizes.first
                guard let size else { break }
                arena.byteCount = size
            }
            position += 2 * blockBytes + arena.byteCount
            arenas.append(arena)
        }
        return arenas.contains { $0.logHead != nil } ? arenas : nil
    }

    /// A block that is just what a header is encoded to, and its hash.
    private static func header(
        _ position: UInt64, _ nodes: RepairNodes
    ) -> (ArenaHeader, hash: UInt64)? {
        let address = BlockAddress(rawValue: position)
        guard case .success(let buffer) = nodes.read(address),
            let header = try? ArenaHeader(decoding: buffer.bytes, at: address)
        else { return nil }
        let copy = nodes.pool.make()
        let hash = header.encode(into: copy.mutableBytes)
        return MetroHash64.hash(buffer.bytes) == hash ? (header, hash) : nil
    }
}
