import GefsEngine
import GefsFormat

/// One thing done to one block of an image.
package struct Damage: CustomStringConvertible {
    /// What is done.
    package enum Change: String, CaseIterable, Sendable {
        case bit
        case zeros
        case ones
        case noise
        case foreign
    }

    package let change: Change
    package let role: DiskMap.Role
    /// The block.
    package let address: UInt64
    /// The bytes of it that are not what they were.
    package let changed: [Int]
    /// What the block holds afterwards.
    let content: [UInt8]

    /// Picks a kind of block, a block, and a change that changes something.
    package init(_ map: DiskMap, _ random: inout SampleRandom) {
        let roles = DiskMap.Role.allCases.filter { map.blocks[$0] != nil }
        while true {
            let role = roles[random.below(roles.count)]
            guard let blocks = map.blocks[role], !blocks.isEmpty else { continue }
            let address = blocks[random.below(blocks.count)]
            let old = map.image.bytes(at: address, count: Geometry.blockBytes)
            var new = old
            // Half of all samples are bits; the others are sectors.
            let change =
                random.below(2) == 0
                ? Change.bit : Change.allCases[1 + random.below(Change.allCases.count - 1)]
            if change == .bit {
                let offset = Self.offset(old, &random)
                new[offset] ^= 1 << UInt8(random.below(8))
            } else {
                let size = random.below(3) == 0 ? 4096 : Geometry.sectorBytes
                let start = Self.offset(old, &random) / size * size
                let source = Self.sector(change, start, size, map, &random)
                new.replaceSubrange(start..<start + size, with: source)
            }
            let changed = new.indices.filter { new[$0] != old[$0] }
            guard !changed.isEmpty else { continue }
            self.role = role
            self.change = change
            self.address = address
            self.changed = changed
            content = new
            return
        }
    }

    /// A place in a block: headers, and what is in use, more often than by chance.
    private static func offset(_ block: [UInt8], _ random: inout SampleRandom) -> Int {
        switch random.below(4) {
        case 0: return random.below(64)
        case 1:
            let used = block.indices.filter { block[$0] != 0 }
            return used.isEmpty ? random.below(block.count) : used[random.below(used.count)]
        default: return random.below(block.count)
        }
    }

    private static func sector(
        _ change: Change, _ start: Int, _ size: Int, _ map: DiskMap, _ random: inout SampleRandom
    ) -> [UInt8] {
        switch change {
        case .zeros, .bit: return [UInt8](repeating: 0, count: size)
        case .ones: return [UInt8](repeating: 0xff, count: size)
        case .noise:
            return (0..<size).map { _ in UInt8(truncatingIfNeeded: random.next() >> 32) }
        case .foreign:
            let roles = DiskMap.Role.allCases.filter { $0 != .free }
            let role = roles[random.below(roles.count)]
            let blocks = map.blocks[role] ?? [0]
            return map.image.bytes(
                at: blocks[random.below(blocks.count)] + UInt64(start), count: size)
        }
    }

    /// The image with the damage done.
    package func apply(to image: MemoryImage) -> MemoryImage {
        var copy = image
        content.withUnsafeBytes { copy.write($0, at: address) }
        return copy
    }

    /// Whether nothing that anybody reads has changed.
    package func isHarmless(_ map: DiskMap) -> Bool {
        changed.allSatisfy { map.isUnused(address, $0) }
    }

    /// Whether only a link to a next block has changed, apart from what nobody reads.
    package func isOfLink(_ map: DiskMap) -> Bool {
        changed.allSatisfy { map.isUnused(address, $0) || map.isLink(address, $0) }
    }

    package var description: String {
        let place = changed.count == 1 ? "byte \(changed[0])" : "bytes \(changed[0])..."
        return "\(change) at \(BlockAddress(rawValue: address)) (\(role.rawValue)), \(place)"
    }
}
