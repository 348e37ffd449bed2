import GefsFormat

/// Where the arenas lie, and which copies of their headers and of the superblock are right.
///
/// Source: FORMAT 3, 4.
struct RepairLayout {
    private(set) var arenas: [CheckedArena] = []
    /// Copies that are to be rewritten from the other one.
    private(set) var copies: [StoreWrite] = []
    private(set) var notes: [RepairNote] = []
    /// The greatest number of a commit that either superblock has.
    private(set) var commitGeneration: UInt64

    private let nodes: RepairNodes
    private static let blockBytes = UInt64(Geometry.blockBytes)

    init(_ source: ClosedDevice, _ device: any BlockDevice, _ nodes: RepairNodes) {
        self.nodes = nodes
        commitGeneration = source.superblock.commitGeneration
        mendSuperblocks(source.superblock, SuperblockPair(reading: device))
        place(source)
    }

    private mutating func mendSuperblocks(_ superblock: Superblock, _ pair: SuperblockPair) {
        for (copy, address, name) in [
            (pair.primary, BlockAddress(rawValue: 0), "primary"),
            (pair.backup, pair.backupAddress, "backup"),
        ] {
            switch copy {
            case .success(superblock): continue
            case .success(let other):
                commitGeneration = max(commitGeneration, other.commitGeneration)
                notes.append(
                    RepairNote(
                        .mended, "superblock", "the \(name) one is of another commit; rewritten"))
            case .failure(let error):
                notes.append(
                    RepairNote(.mended, "superblock", "the \(name) one is rewritten: \(error)"))
            }
            let buffer = nodes.pool.make()
            superblock.encode(into: buffer.mutableBytes)
            copies.append(StoreWrite(at: address, buffer))
        }
    }

    private mutating func place(_ source: ClosedDevice) {
        let references = source.superblock.arenas
        let backup = DeviceLayout.backupSuperblock(deviceBytes: source.deviceBytes)
        let known = Dictionary(
            source.arenas.map { ($0.index, $0) }, uniquingKeysWith: { first, _ in first })
        var expected = BlockAddress(rawValue: Self.blockBytes)
        for (index, reference) in references.enumerated() {
            let limit =
                index + 1 < references.count ? references[index + 1].address.rawValue : backup
            var address = reference.address
            var byteCount = known[index]?.byteCount
            if address != expected, let header = header(at: expected, hash: reference.hash) {
                address = expected
                byteCount = header.byteCount
                notes.append(
                    RepairNote(.mended, "arena", "\(index): lies at \(expected) in truth"))
            }
            mendCopies(index, reference)
            let room = limit.subtractingReportingOverflow(address.rawValue + 2 * Self.blockBytes)
            guard !room.overflow else { continue }
            // All arenas that were made together are of one size.
            let usual = arenas.last.map(\.byteCount) ?? room.partialValue
            let size = min(byteCount ?? usual, room.partialValue)
            guard size > UInt64(Geometry.arenaSlopBlocks) * Self.blockBytes else { continue }
            arenas.append(
                CheckedArena(
                    index: index, address: address, byteCount: size,
                    logBlocks: known[index]?.logBlocks ?? [],
                    isMapKnown: known[index]?.isMapKnown ?? false && address == reference.address))
            expected = BlockAddress(rawValue: address.rawValue + 2 * Self.blockBytes + size)
        }
    }

    private func header(at address: BlockAddress, hash: UInt64) -> ArenaHeader? {
        guard case .success(let buffer) = nodes.read(address) else { return nil }
        return try? ArenaHeader(decoding: buffer.bytes, at: address, hash: hash)
    }

    private mutating func mendCopies(_ index: Int, _ reference: Superblock.ArenaReference) {
        let first = reference.address
        let second = BlockAddress(rawValue: first.rawValue &+ Self.blockBytes)
        let isFirstGood = header(at: first, hash: reference.hash) != nil
        let isSecondGood = header(at: second, hash: reference.hash) != nil
        guard isFirstGood != isSecondGood else {
            if !isFirstGood {
                notes.append(
                    RepairNote(.mended, "arena", "\(index): header and footer are made anew"))
            }
            return
        }
        let (good, bad) = isFirstGood ? (first, second) : (second, first)
        guard case .success(let buffer) = nodes.read(good) else { return }
        copies.append(StoreWrite(at: bad, buffer))
        notes.append(
            RepairNote(
                .mended, "arena",
                "\(index): the \(isFirstGood ? "footer" : "header") is rewritten from the other "
                    + "copy"))
    }
}
