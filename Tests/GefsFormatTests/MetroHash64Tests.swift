import GefsFormat
import Testing

@Suite struct MetroHash64Tests {
    struct Vector: CustomStringConvertible {
        let description: String
        let bytes: [UInt8]
        let seed: UInt64
        let hash: UInt64
    }

    static let authors = Array(
        "012345678901234567890123456789012345678901234567890123456789012".utf8)

    static let vectors = [
        Vector(
            description: "author's, seed 0", bytes: authors, seed: 0, hash: 0x400e_735c_4f04_8f65),
        Vector(
            description: "author's, seed 1", bytes: authors, seed: 1, hash: 0x7b53_56a8_b0eb_49ae),
        Vector(description: "empty", bytes: [], seed: 0x6765, hash: 0x35d2_44c2_ba0d_952f),
        Vector(
            description: "a", bytes: Array("a".utf8), seed: 0x6765, hash: 0xea6a_586e_a38e_2e61),
        Vector(
            description: "magic", bytes: Array("gefs9.00".utf8), seed: 0x6765,
            hash: 0x11ce_dcf1_fa18_3ad0),
        Vector(
            description: "00..1f", bytes: Array(0...0x1f), seed: 0x6765,
            hash: 0x6ed5_4398_04aa_2a8e),
        Vector(
            description: "00..3e", bytes: Array(0...0x3e), seed: 0x6765,
            hash: 0x4ec4_5dfc_cc48_3192),
        Vector(
            description: "zero block", bytes: Array(repeating: 0, count: 16384), seed: 0x6765,
            hash: 0x8d19_d874_5486_446e),
        Vector(
            description: "counting block", bytes: (0..<16384).map { UInt8($0 & 0xff) },
            seed: 0x6765, hash: 0x0cbd_0330_2537_8bb1),
    ]

    @Test(arguments: vectors)
    func `the vectors of the format come out`(_ vector: Vector) {
        #expect(
            vector.bytes.withUnsafeBytes { MetroHash64.hash($0, seed: vector.seed) } == vector.hash)
    }

    @Test func `the seed of the disk is the default`() {
        let hashes = Self.authors.withUnsafeBytes {
            (MetroHash64.hash($0), MetroHash64.hash($0, seed: MetroHash64.diskSeed))
        }
        #expect(hashes.0 == hashes.1)
    }

    @Test func `alignment does not matter, nor do bytes around the input`() {
        var random = SeededRandom()
        for count in 0...100 {
            let input = random.bytes(count)
            let expected = input.withUnsafeBytes { MetroHash64.hash($0) }
            for shift in 1...8 {
                let shifted = random.bytes(shift) + input + random.bytes(8)
                let hash = shifted.withUnsafeBytes {
                    MetroHash64.hash(UnsafeRawBufferPointer(rebasing: $0[shift..<shift + count]))
                }
                #expect(hash == expected, "\(count) bytes at \(shift)")
            }
        }
    }

    @Test func `each bit of a block counts`() {
        var random = SeededRandom()
        var block = random.bytes(Geometry.blockBytes)
        let hash = block.withUnsafeBytes { MetroHash64.hash($0) }
        for _ in 0..<500 {
            let position = Int.random(in: 0..<block.count, using: &random)
            let bit: UInt8 = 1 << UInt8.random(in: 0..<8, using: &random)
            block[position] ^= bit
            #expect(block.withUnsafeBytes { MetroHash64.hash($0) } != hash)
            block[position] ^= bit
        }
    }
}
