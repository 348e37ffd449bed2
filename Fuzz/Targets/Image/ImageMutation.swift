import GefsFormat

@testable import GefsEngine

/// Changes of an image whose hashes are then set right up to the superblock, so that they are not
/// just taken for damage.
struct ImageMutation {
    private let map: ImageMap
    private var changed: [Int: [UInt8]] = [:]
    private let base: MemoryImage

    init(_ base: MemoryImage, _ map: ImageMap) {
        self.base = base
        self.map = map
    }

    /// The image with the changes that the input asks for, at most so many.
    mutating func apply(_ reader: inout InputReader, limit: Int) -> MemoryImage {
        for _ in 0..<limit where !reader.isAtEnd { change(&reader) }
        let damages = reader.byte()
        fixHashes()
        var image = base
        for (index, bytes) in changed {
            bytes.withUnsafeBytes { image.write($0, at: map.blocks[index].address) }
        }
        // Both copies, or else the backup stands in for a superblock that cannot be used.
        if damages & 1 == 0, let superblock = changed[0] {
            superblock.withUnsafeBytes { image.write($0, at: map.backupAddress) }
        }
        return image
    }

    private mutating func change(_ reader: inout InputReader) {
        let index = reader.number(below: map.blocks.count)
        let kind = reader.byte()
        var block = bytes(of: index)
        let fields = map.blocks[index].fields
        var offset = Int(reader.integer(UInt16.self))
        if kind & 0x80 == 0, !fields.isEmpty {
            offset = fields[offset % fields.count]
        } else {
            offset %= Geometry.blockBytes
        }
        switch kind & 0x0f {
        case 0: store(reader.bytes(1), at: offset, &block)
        case 1: store(reader.bytes(2), at: offset, &block)
        case 2: store(reader.bytes(8), at: offset, &block)
        case 3: block[offset] ^= 1 << (reader.byte() & 7)
        case 4: block[offset] &+= reader.byte()
        case 5: store(address(&reader), at: offset, &block)
        case 6: store(Self.odd(&reader), at: offset, &block)
        case 7: copyRun(&reader, to: offset, &block)
        case 8: swapHalves(&reader, offset, &block)
        case 9: block = bytes(of: reader.number(below: map.blocks.count))
        case 10: store(reader.bytes(24), at: offset, &block)
        case 11: storeReference(&reader, at: offset, &block)
        default: store(reader.bytes(4), at: offset, &block)
        }
        changed[index] = block
    }

    private func bytes(of index: Int) -> [UInt8] {
        changed[index] ?? base.bytes(at: map.blocks[index].address, count: Geometry.blockBytes)
    }

    private func store(_ bytes: some Sequence<UInt8>, at offset: Int, _ block: inout [UInt8]) {
        for (place, byte) in zip(offset..<block.count, bytes) { block[place] = byte }
    }

    /// The address of some block that is in use, or near one.
    private func address(_ reader: inout InputReader) -> [UInt8] {
        let number = map.blocks[reader.number(below: map.blocks.count)].address
        let distance = UInt64(reader.byte() & 3) * UInt64(Geometry.blockBytes)
        return Self.bigEndian(number &+ distance)
    }

    /// A pointer to another block with the hash that it has, and any generation: a tree with a loop
    /// cannot be made, since its hashes cannot fit, but one that uses a block twice can.
    private mutating func storeReference(
        _ reader: inout InputReader, at offset: Int, _ block: inout [UInt8]
    ) {
        let target = reader.number(below: map.blocks.count)
        let hash = bytes(of: target).withUnsafeBytes { MetroHash64.hash($0) }
        store(
            Self.bigEndian(map.blocks[target].address) + Self.bigEndian(hash), at: offset, &block)
    }

    private static func bigEndian(_ number: UInt64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: number >> UInt64(56 - 8 * $0)) }
    }

    /// Numbers at which arithmetic goes wrong.
    private static func odd(_ reader: inout InputReader) -> [UInt8] {
        let numbers: [UInt64] = [
            0, 1, .max, 1 << 63, (1 << 63) - 1, 1 << 62, 1 << 32, 16384, 0xffff, .max - 16383,
            .max / 16384 * 16384, 1 << 56, (1 << 31) - 1,
        ]
        return bigEndian(numbers[reader.number(below: numbers.count)])
    }

    private func copyRun(_ reader: inout InputReader, to offset: Int, _ block: inout [UInt8]) {
        let source = Int(reader.integer(UInt16.self)) % block.count
        let count = Int(reader.byte())
        store(Array(block[source...].prefix(count)), at: offset, &block)
    }

    private func swapHalves(_ reader: inout InputReader, _ offset: Int, _ block: inout [UInt8]) {
        let other = (offset + 2 * (1 + Int(reader.byte()))) % (block.count - 1)
        guard offset + 1 < block.count else { return }
        block.swapAt(offset, other)
        block.swapAt(offset + 1, other + 1)
    }

    // MARK: Hashes

    /// Sets hashes right from the leaves to the superblock.
    private mutating func fixHashes() {
        for index in map.blocks.indices.reversed() {
            guard var block = changed[index] else { continue }
            let kind = UInt16(block[0]) << 8 | UInt16(block[1])
            if index == 0 {
                Self.fixSuperblock(&block)
                changed[index] = block
                continue
            }
            if BlockKind.isChained(kind) {
                let usedBytes = min(
                    Int(block[2]) << 8 | Int(block[3]), Geometry.logSpaceBytes)
                let hash = block.withUnsafeBytes {
                    MetroHash64.hash(UnsafeRawBufferPointer(rebasing: $0[36..<36 + usedBytes]))
                }
                store(Self.bigEndian(hash), at: 4, &block)
                changed[index] = block
            }
            let hash = block.withUnsafeBytes { MetroHash64.hash($0) }
            for place in map.blocks[index].hashPlaces {
                var parent = bytes(of: place.block)
                store(Self.bigEndian(hash), at: place.offset, &parent)
                changed[place.block] = parent
            }
        }
    }

    private static func fixSuperblock(_ block: inout [UInt8]) {
        let arenaCount = Int(ImageMap.number(block, at: 16) >> 32)
        let end = 104 + 16 * min(arenaCount, 255)
        let hash = block.withUnsafeBytes {
            MetroHash64.hash(UnsafeRawBufferPointer(rebasing: $0[..<end]))
        }
        for (place, byte) in zip(end..., bigEndian(hash)) { block[place] = byte }
    }
}
