import GefsFormat

extension ArenaSet {
    /// Reads all arenas that `superblock` names and replays their logs. Writes nothing.
    ///
    /// - Throws: the first thing found that makes an arena unusable.
    ///
    /// Source: FORMAT 4 and 5.
    static func load(
        _ superblock: Superblock, from device: any BlockDevice, pool: BlockBufferPool
    ) throws(StoreError) -> ArenaSet {
        var arenas: [Arena] = []
        var previousEnd = UInt64(Geometry.blockBytes)
        for (index, reference) in superblock.arenas.enumerated() {
            let arena = try load(
                reference, index: index, previousEnd: previousEnd,
                commitGeneration: superblock.commitGeneration, device: device)
            previousEnd = arena.end
            arenas.append(arena)
        }
        return ArenaSet(arenas, pool: pool)
    }

    /// What a device opens with.
    struct Loaded {
        let superblock: Superblock
        let arenas: ArenaSet
        /// Both superblocks as found; the one not loaded may have to be rewritten.
        let pair: SuperblockPair
    }

    /// Reads the superblocks and all arenas. Writes nothing.
    ///
    /// The primary superblock is preferred. If it is valid but names an arena that matches neither
    /// copy of its header, the backup is tried.
    ///
    /// - Parameter skipped: given what is wrong with each arena that cannot be used, which is then
    ///   left out: good for a volume that nobody writes to, which needs no free maps. If nil, such
    ///   an arena is an error.
    ///
    /// Source: FORMAT 3 and 9.4.
    static func load(
        from device: any BlockDevice, pool: BlockBufferPool,
        skipping skipped: ((StoreError) -> Void)? = nil
    ) throws(StoreError) -> Loaded {
        let pair = SuperblockPair(reading: device)
        let first: Superblock
        do throws(ReadError) {
            first = try pair.loaded()
        } catch {
            throw .superblock(error)
        }
        do throws(StoreError) {
            return Loaded(
                superblock: first, arenas: try load(first, from: device, pool: pool), pair: pair)
        } catch {
            if case .arenaUnusable = error, case .success(let backup) = pair.backup,
                backup != first, let arenas = try? load(backup, from: device, pool: pool)
            {
                return Loaded(superblock: backup, arenas: arenas, pair: pair)
            }
            guard let skipped else { throw error }
            let arenas = loadUsable(first, from: device, pool: pool, skipping: skipped)
            return Loaded(superblock: first, arenas: arenas, pair: pair)
        }
    }

    private static func loadUsable(
        _ superblock: Superblock, from device: any BlockDevice, pool: BlockBufferPool,
        skipping skipped: (StoreError) -> Void
    ) -> ArenaSet {
        var arenas: [Arena] = []
        for (index, reference) in superblock.arenas.enumerated() {
            do throws(StoreError) {
                arenas.append(
                    try load(
                        reference, index: index,
                        previousEnd: arenas.last?.end ?? UInt64(Geometry.blockBytes),
                        commitGeneration: superblock.commitGeneration, device: device))
            } catch {
                skipped(error)
            }
        }
        return ArenaSet(arenas, pool: pool)
    }

    private static func load(
        _ reference: Superblock.ArenaReference, index: Int, previousEnd: UInt64,
        commitGeneration: UInt64, device: any BlockDevice
    ) throws(StoreError) -> Arena {
        let (header, stale) = try loadHeader(reference, index: index, device: device)
        let address = reference.address
        let (end, overflow) = address.rawValue.addingReportingOverflow(
            2 * UInt64(Geometry.blockBytes) + header.byteCount)
        guard !overflow, address.rawValue >= previousEnd,
            header.byteCount <= DeviceLayout.arenaBytesMax,
            end <= DeviceLayout.backupSuperblock(deviceBytes: device.byteCount)
        else {
            throw .arenaOutside(index: index, address: address, byteCount: header.byteCount)
        }
        return try Arena.replay(
            index: index, address: address, header: header, headerHash: reference.hash,
            staleCopy: stale, commitGeneration: commitGeneration, device: device)
    }

    /// The copy of an arena's header that matches the superblock, and which one does not.
    static func loadHeader(
        _ reference: Superblock.ArenaReference, index: Int, device: any BlockDevice
    ) throws(StoreError) -> (ArenaHeader, Arena.StaleCopy?) {
        let footerAddress = BlockAddress(
            rawValue: reference.address.rawValue &+ UInt64(Geometry.blockBytes))
        let first = loadCopy(reference.address, hash: reference.hash, device: device)
        let second = loadCopy(footerAddress, hash: reference.hash, device: device)
        switch (first, second) {
        case (.success(let header), .success): return (header.fields, nil)
        case (.success(let header), .failure(.corrupt)):
            return (header.fields, Arena.StaleCopy(address: footerAddress, content: header.block))
        case (.failure(.corrupt), .success(let footer)):
            return (
                footer.fields,
                Arena.StaleCopy(address: reference.address, content: footer.block)
            )
        case (.failure(.corrupt(let header)), .failure(.corrupt(let footer))):
            throw .arenaUnusable(index: index, header: header, footer: footer)
        // A copy that cannot be read is not known to be stale: do not write over it.
        case (.success(let header), .failure): return (header.fields, nil)
        case (.failure, .success(let footer)): return (footer.fields, nil)
        case (.failure(let error), .failure): throw error
        }
    }

    /// A copy that matches; the whole block, because its hash covers unspecified bytes, too.
    private struct HeaderCopy {
        var fields: ArenaHeader
        var block: BlockBuffer
    }

    private static func loadCopy(
        _ address: BlockAddress, hash: UInt64, device: any BlockDevice
    ) -> Result<HeaderCopy, StoreError> {
        let buffer = BlockBuffer()
        do throws(DeviceError) {
            try device.read(at: address.rawValue, into: buffer.mutableBytes)
        } catch {
            if case .pastEnd = error {
                return .failure(.corrupt(CorruptBlock(address, .arena, .address(address))))
            }
            return .failure(.device(error))
        }
        do throws(CorruptBlock) {
            let fields = try ArenaHeader(decoding: buffer.bytes, at: address, hash: hash)
            return .success(HeaderCopy(fields: fields, block: buffer))
        } catch {
            return .failure(.corrupt(error))
        }
    }

    // MARK: Repair at open

    /// What must be written and flushed before the first commit, after a crash (FORMAT 9.4).
    ///
    /// Logs are cut behind their last valid barrier, and copies of headers that do not match the
    /// superblock are rewritten. Nothing on a cleanly closed disk.
    func repairsAtOpen() -> [StoreWrite] {
        var writes: [StoreWrite] = []
        for arena in arenas {
            if arena.log.needsCut {
                let buffer = pool.make()
                buffer.clear()
                buffer.mutableBytes.copyBytes(from: arena.log.tailSector)
                writes.append(
                    StoreWrite(at: arena.log.tail, buffer, byteCount: Geometry.sectorBytes))
            }
            if let copy = arena.staleCopy {
                writes.append(StoreWrite(at: copy.address, copy.content))
            }
        }
        return writes
    }

    /// The repairs are durable.
    func didRepair() {
        for arena in arenas {
            arena.log.needsCut = false
            arena.staleCopy = nil
        }
    }
}
