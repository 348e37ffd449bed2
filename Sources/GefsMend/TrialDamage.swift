import GefsEngine
import GefsFormat

/// Damages an image by chance, and knows which blocks are no longer what they were.
struct TrialDamage {
    private(set) var image: MemoryImage
    /// What was done, for people.
    private(set) var description: [String] = []
    /// Blocks whose contents are gone, or that were forged.
    private(set) var damaged: Set<UInt64> = []
    /// Blocks in which one bit is wrong.
    private(set) var flipped: Set<UInt64> = []
    /// Blocks with other contents whose hashes fit. What they say may well make sense.
    private(set) var forged: Set<UInt64> = []

    private let map: ImageMap
    private let earlier: MemoryImage

    /// - Parameter relinks: also lets a snapshot forget what it was forked from or comes behind.
    init(
        _ map: ImageMap, earlier: MemoryImage, relinks: Bool, _ random: inout SeededGenerator
    ) {
        self.map = map
        self.earlier = earlier
        image = map.image
        let count = [1, 1, 1, 2, 2, 3, 5].randomElement(using: &random) ?? 1
        if relinks { relink(&random) }
        for _ in 0..<count { damage(&random) }
    }

    /// Whether nothing leads to the files any more.
    var isHopeless: Bool { damaged.contains(map.snapshotRoot) || isWithoutSuperblock }

    /// Whether no superblock of the last commit is whole. One wrong bit is found and inverted.
    var isWithoutSuperblock: Bool {
        (map.blocks[.superblock] ?? []).allSatisfy(damaged.contains)
    }

    private mutating func damage(_ random: inout SeededGenerator) {
        let kinds = ImageMap.Kind.allCases.filter { !(map.blocks[$0] ?? []).isEmpty }
        var kind = kinds.randomElement(using: &random) ?? .leaf
        // Without the root of the snapshot tree little can be tried.
        if kind == .snapshotNode, Int.random(in: 0..<4, using: &random) > 0 { kind = .leaf }
        guard let address = map.blocks[kind]?.randomElement(using: &random) else { return }
        switch Int.random(in: 0..<8, using: &random) {
        case 0: flipBit(address, kind, &random)
        case 1: fillSector(address, kind, &random)
        case 2: fill(address, kind, &random)
        case 3: zero(address, kind, &random)
        case 4: loseWrite(address, kind)
        case 5: misdirect(address, kind, &random)
        default: forge(address, kind, &random)
        }
    }

    private mutating func write(_ bytes: [UInt8], at address: UInt64) {
        bytes.withUnsafeBytes { image.write($0, at: address) }
    }

    private func bytes(_ address: UInt64) -> [UInt8] {
        image.bytes(at: address, count: Geometry.blockBytes)
    }

    private mutating func spoil(_ address: UInt64) {
        damaged.insert(address)
        flipped.remove(address)
    }

    private mutating func note(_ what: String, _ kind: ImageMap.Kind, _ address: UInt64) {
        description.append("\(what) \(kind.rawValue) 0x\(String(address, radix: 16))")
    }

    private mutating func flipBit(
        _ address: UInt64, _ kind: ImageMap.Kind, _ random: inout SeededGenerator
    ) {
        var block = bytes(address)
        let bit = Int.random(in: 0..<Geometry.blockBytes * 8, using: &random)
        block[bit / 8] ^= 1 << UInt8(bit % 8)
        write(block, at: address)
        if flipped.contains(address) {
            spoil(address)
        } else if !damaged.contains(address) {
            flipped.insert(address)
        }
        note("bit \(bit) of", kind, address)
    }

    private mutating func fillSector(
        _ address: UInt64, _ kind: ImageMap.Kind, _ random: inout SeededGenerator
    ) {
        let sector = UInt64(Int.random(in: 0..<32, using: &random))
        let junk = (0..<512).map { _ in UInt8.random(in: 0...255, using: &random) }
        write(junk, at: address + sector * 512)
        spoil(address)
        note("sector \(sector) of", kind, address)
    }

    private mutating func fill(
        _ address: UInt64, _ kind: ImageMap.Kind, _ random: inout SeededGenerator
    ) {
        write(
            (0..<Geometry.blockBytes).map { _ in UInt8.random(in: 0...255, using: &random) },
            at: address)
        spoil(address)
        note("all of", kind, address)
    }

    /// Zeros a block, or a run of blocks from it on.
    private mutating func zero(
        _ address: UInt64, _ kind: ImageMap.Kind, _ random: inout SeededGenerator
    ) {
        let count = [1, 1, 2, 8, 32].randomElement(using: &random) ?? 1
        let blockBytes = UInt64(Geometry.blockBytes)
        for index in 0..<UInt64(count) {
            let block = address + index * blockBytes
            guard block + blockBytes <= image.byteCount else { break }
            write([UInt8](repeating: 0, count: Geometry.blockBytes), at: block)
            if map.kinds[block] != nil { spoil(block) }
        }
        note("zeros in \(count) from", kind, address)
    }

    /// The block holds what it held some commits before.
    private mutating func loseWrite(_ address: UInt64, _ kind: ImageMap.Kind) {
        let old = earlier.bytes(at: address, count: Geometry.blockBytes)
        guard old != bytes(address) else { return }
        write(old, at: address)
        spoil(address)
        note("lost write of", kind, address)
    }

    /// Another block was written where this one lies.
    private mutating func misdirect(
        _ address: UInt64, _ kind: ImageMap.Kind, _ random: inout SeededGenerator
    ) {
        guard let other = map.blocks[kind]?.randomElement(using: &random), other != address else {
            return
        }
        let left = bytes(address)
        let right = bytes(other)
        guard left != right else { return }
        write(right, at: address)
        spoil(address)
        if Bool.random(using: &random) {
            write(left, at: other)
            spoil(other)
        }
        note("misdirected", kind, address)
    }

    // MARK: Forging

    /// Changes bytes and makes all hashes fit.
    private mutating func forge(
        _ address: UInt64, _ kind: ImageMap.Kind, _ random: inout SeededGenerator
    ) {
        var block = bytes(address)
        guard !damaged.contains(address), !flipped.contains(address) else { return }
        for _ in 0...Int.random(in: 0..<3, using: &random) {
            let offset = Self.place(&random)
            block[offset] =
                [0, 0xff, UInt8.random(in: 0...255, using: &random)]
                .randomElement(using: &random) ?? 0
        }
        switch kind {
        case .superblock, .arena, .data:
            return flipBit(address, kind, &random)
        case .log, .deadlist:
            let used = Int(block[2]) << 8 | Int(block[3])
            guard used <= Geometry.logSpaceBytes else { return }
            block.withUnsafeMutableBytes { bytes in
                let entries = UnsafeRawBufferPointer(
                    rebasing: bytes[Geometry.logHeaderBytes..<Geometry.logHeaderBytes + used])
                bytes.baseAddress?.storeBigEndian(MetroHash64.hash(entries), at: 4)
            }
            write(block, at: address)
        case .snapshotNode:
            // Labels and records are all that there is: nothing vouches for what they say.
            return flipBit(address, kind, &random)
        case .pivot, .leaf:
            let parentsAreWhole = isReachable(address)
            guard parentsAreWhole else { return }
            write(block, at: address)
            fixHashes(of: address)
        }
        spoil(address)
        forged.insert(address)
        note("forged", kind, address)
    }

    /// Makes a snapshot the first of a line of its own, from the empty one: all that it shares with
    /// others belongs to two lines then. What labels hold stays the same.
    private mutating func relink(_ random: inout SeededGenerator) {
        var block = bytes(map.snapshotRoot)
        var name: Generation?
        block.withUnsafeMutableBytes { bytes in
            guard let base = bytes.baseAddress,
                (try? NodeCheck.check(
                    UnsafeRawBufferPointer(bytes), at: BlockAddress(rawValue: map.snapshotRoot)))
                    == .leaf
            else { return }
            let leaf = LeafView(unchecked: base)
            var places: [(record: SnapshotRecord, offset: Int)] = []
            for index in 0..<leaf.count where leaf.key(index).first == KeyKind.snapshot.rawValue {
                let value = leaf.value(index)
                guard let record = try? SnapshotRecord(decoding: value),
                    let start = value.baseAddress
                else { continue }
                places.append((record, start - UnsafeRawPointer(base)))
            }
            places.removeAll { $0.record.predecessor == .zero || $0.record.generation == .zero }
            guard let place = places.randomElement(using: &random) else { return }
            var record = place.record
            name = record.generation
            record.predecessor = .zero
            record.base = .zero
            let value = record.encoded()
            (base + place.offset).copyMemory(from: value, byteCount: value.count)
        }
        guard let name else { return }
        write(block, at: map.snapshotRoot)
        fixHashes(of: map.snapshotRoot)
        description.append("snapshot \(name) has no predecessor")
    }

    private static func place(_ random: inout SeededGenerator) -> Int {
        switch Int.random(in: 0..<4, using: &random) {
        case 0: Int.random(in: 0..<16, using: &random)
        case 1: Int.random(in: 0..<200, using: &random)
        default: Geometry.blockBytes - 1 - Int.random(in: 0..<4000, using: &random)
        }
    }

    /// Whether no block above is damaged, so that its hash can be made to fit.
    private func isReachable(_ address: UInt64) -> Bool {
        (map.parents[address] ?? []).allSatisfy {
            !damaged.contains($0.parent) && !flipped.contains($0.parent) && isReachable($0.parent)
        }
            && (map.blocks[.superblock] ?? []).allSatisfy {
                !damaged.contains($0) && !flipped.contains($0)
            }
    }

    private mutating func fixHashes(of address: UInt64) {
        let hash = bytes(address).withUnsafeBytes { MetroHash64.hash($0) }
        if address == map.snapshotRoot {
            for copy in map.blocks[.superblock] ?? [] {
                var block = bytes(copy)
                block.withUnsafeMutableBytes { bytes in
                    let place = BlockAddress(rawValue: copy)
                    guard
                        var superblock = try? Superblock(
                            decoding: UnsafeRawBufferPointer(bytes), at: place)
                    else { return }
                    superblock.snapshotTreeRoot.hash = hash
                    superblock.encode(into: bytes)
                }
                write(block, at: copy)
            }
        }
        for (parent, offset) in map.parents[address] ?? [] {
            var block = bytes(parent)
            block.withUnsafeMutableBytes {
                $0.baseAddress?.storeBigEndian(hash, at: offset + 8)
            }
            write(block, at: parent)
            fixHashes(of: parent)
        }
    }
}
