import GefsFormat

@testable import GefsEngine

/// Which blocks of an image its last commit reaches, and where the hash of each of them is kept.
///
/// Found without knowing any structure: a reference is an address with the right hash behind it, in a
/// node or superblock, or the address of a chained block.
struct ImageMap {
    /// One block that is reached.
    struct Block {
        var address: UInt64
        /// The first two bytes as a number; 0 for data.
        var kind: UInt16
        /// Where its hash is kept: index of the block, and the offset in it.
        var hashPlaces: [(block: Int, offset: Int)] = []
        /// Where its fields are, as far as that is of interest.
        var fields: [Int] = []
    }

    static let blockBytes = Geometry.blockBytes
    /// The first one is the superblock; a block that refers to another comes before it.
    private(set) var blocks: [Block] = []
    private var indexOfAddress: [UInt64: Int] = [:]
    let backupAddress: UInt64

    init(_ image: MemoryImage) {
        let bytes = UInt64(Self.blockBytes)
        backupAddress = image.byteCount - image.byteCount % bytes - bytes
        var hashes: [UInt64: UInt64] = [:]
        var kinds: [UInt64: UInt16] = [:]
        for address in stride(from: 0, through: backupAddress, by: Int(bytes)) {
            let block = image.bytes(at: address, count: Self.blockBytes)
            guard block.contains(where: { $0 != 0 }) else { continue }
            hashes[address] = block.withUnsafeBytes { MetroHash64.hash($0) }
            kinds[address] = UInt16(block[0]) << 8 | UInt16(block[1])
        }
        walk(image, hashes, kinds)
        sortByDepth()
    }

    /// Finds what the superblock reaches.
    private mutating func walk(
        _ image: MemoryImage, _ hashes: [UInt64: UInt64], _ kinds: [UInt64: UInt16]
    ) {
        add(0, BlockKind.superblock.rawValue)
        var next = 0
        while next < blocks.count {
            let (address, kind) = (blocks[next].address, blocks[next].kind)
            let block = image.bytes(at: address, count: Self.blockBytes)
            if kind != BlockKind.data.rawValue {
                scan(block, of: next, hashes, kinds)
                blocks[next].fields = Self.fields(of: block, kind)
            }
            next += 1
        }
    }

    private mutating func scan(
        _ block: [UInt8], of index: Int, _ hashes: [UInt64: UInt64], _ kinds: [UInt64: UInt16]
    ) {
        let isChained = BlockKind.isChained(blocks[index].kind)
        for offset in 0...(Self.blockBytes - 16) {
            let address = Self.number(block, at: offset)
            guard address != 0, address % UInt64(Self.blockBytes) == 0,
                let hash = hashes[address], let kind = kinds[address]
            else { continue }
            let isVouchedFor = !isChained && Self.number(block, at: offset + 8) == hash
            if isVouchedFor {
                let known = BlockKind(rawValue: kind) == nil ? BlockKind.data.rawValue : kind
                blocks[add(address, known)].hashPlaces.append((index, offset + 8))
                // The copy of an arena's header lies behind it.
                if kind == BlockKind.arena.rawValue { add(address + UInt64(Self.blockBytes), kind) }
            } else if BlockKind.isChained(kind) {
                add(address, kind)
            }
        }
    }

    @discardableResult
    private mutating func add(_ address: UInt64, _ kind: UInt16) -> Int {
        if let index = indexOfAddress[address] { return index }
        indexOfAddress[address] = blocks.count
        blocks.append(Block(address: address, kind: kind))
        return blocks.count - 1
    }

    /// Puts every block behind all that keep its hash, so that going backwards sets hashes right.
    private mutating func sortByDepth() {
        var depths = Array(repeating: 0, count: blocks.count)
        var changed = true
        while changed {
            changed = false
            for (index, block) in blocks.enumerated() {
                let depth = (block.hashPlaces.map { depths[$0.block] }.max() ?? -1) + 1
                if depth > depths[index] {
                    depths[index] = depth
                    changed = true
                }
            }
        }
        let order = blocks.indices.sorted { (depths[$0], $0) < (depths[$1], $1) }
        var place = Array(repeating: 0, count: blocks.count)
        for (new, old) in order.enumerated() { place[old] = new }
        blocks = order.map { old in
            var block = blocks[old]
            block.hashPlaces = block.hashPlaces.map { (place[$0.block], $0.offset) }
            return block
        }
    }

    static func number(_ bytes: [UInt8], at offset: Int) -> UInt64 {
        (0..<8).reduce(0) { $0 << 8 | UInt64(bytes[offset + $1]) }
    }

    /// Offsets of headers, tables and records.
    private static func fields(of block: [UInt8], _ kind: UInt16) -> [Int] {
        func half(_ offset: Int) -> Int { Int(block[offset]) << 8 | Int(block[offset + 1]) }
        switch BlockKind(rawValue: kind) {
        case .leaf: return [0, 2, 4] + records(block, half, area: 6, count: half(2), header: 0)
        case .pivot:
            return [0, 2, 4, 6, 8] + records(block, half, area: 10, count: half(2), header: 0)
                + records(
                    block, half, area: blockBytes - Geometry.pivotBufferBytes, count: half(6),
                    header: 1)
        case .allocationLog, .deadlist:
            return [0, 2, 4, 12, 20] + Array(stride(from: 36, to: min(36 + half(2), 400), by: 8))
        case .arena: return [0, 2, 10, 18, 26]
        case .superblock:
            return Array(stride(from: 8, to: 24, by: 4))
                + Array(stride(from: 24, to: 240, by: 8))
        case .data, nil: return []
        }
    }

    private static func records(
        _ block: [UInt8], _ half: (Int) -> Int, area: Int, count: Int, header: Int
    ) -> [Int] {
        (0..<count).flatMap { index -> [Int] in
            let slot = area + 2 * index
            guard slot + 2 <= blockBytes else { return [] }
            let start = area + half(slot)
            guard start + header + 2 <= blockBytes else { return [slot] }
            let keyBytes = half(start + header)
            let value = start + header + 2 + keyBytes
            guard value + 2 <= blockBytes else { return [slot, start] }
            let inValue = stride(
                from: value + 2, to: min(value + 2 + half(value), blockBytes), by: 8)
            return [slot, start, start + header, start + header + 2, value] + inValue
        }
    }
}

extension BlockKind {
    /// Logs and deadlists, which keep their own hash.
    static func isChained(_ kind: UInt16) -> Bool {
        kind == BlockKind.allocationLog.rawValue || kind == BlockKind.deadlist.rawValue
    }
}
