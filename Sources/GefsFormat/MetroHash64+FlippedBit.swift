extension MetroHash64 {
    /// The bit of a block that has to be inverted for the block to have another hash: its number,
    /// counted from the lowest bit of the first byte; nil if there is none.
    ///
    /// Takes some tenths of a second: half of the block is hashed again for each bit.
    public static func flippedBit(
        in block: UnsafeRawBufferPointer, expecting hash: UInt64
    ) -> Int? {
        guard let start = block.baseAddress, block.count >= stripeBytes,
            block.count % stripeBytes == 0
        else { return nil }
        let seed = (diskSeed &+ k2) &* k0 &+ UInt64(block.count)
        var lanes = Lanes(seed)
        let stripes = block.count / stripeBytes
        for stripe in 0..<stripes {
            let position = start + stripe * stripeBytes
            for bit in 0..<stripeBytes * 8 {
                var changed = lanes
                changed.add(position, inverting: bit)
                changed.add(position + stripeBytes, count: stripes - stripe - 1)
                if changed.finish(seed) == hash { return stripe * stripeBytes * 8 + bit }
            }
            lanes.add(position, count: 1)
        }
        return nil
    }

    /// The accumulators after some stripes.
    private struct Lanes {
        private var v0: UInt64
        private var v1: UInt64
        private var v2: UInt64
        private var v3: UInt64

        init(_ seed: UInt64) {
            v0 = seed
            v1 = seed
            v2 = seed
            v3 = seed
        }

        @inline(__always)
        private mutating func step(_ w0: UInt64, _ w1: UInt64, _ w2: UInt64, _ w3: UInt64) {
            v0 = rotate(v0 &+ w0 &* k0, 29) &+ v2
            v1 = rotate(v1 &+ w1 &* k1, 29) &+ v3
            v2 = rotate(v2 &+ w2 &* k2, 29) &+ v0
            v3 = rotate(v3 &+ w3 &* k3, 29) &+ v1
        }

        @inline(__always)
        mutating func add(_ start: UnsafeRawPointer, count: Int) {
            var position = start
            for _ in 0..<count {
                step(
                    word(position, 0), word(position, 8), word(position, 16), word(position, 24))
                position += stripeBytes
            }
        }

        /// A stripe with one bit inverted. Words are read little-endian, so bits count up with
        /// bytes.
        @inline(__always)
        mutating func add(_ position: UnsafeRawPointer, inverting bit: Int) {
            func inverted(_ index: Int) -> UInt64 {
                let mask: UInt64 = bit / 64 == index ? 1 << UInt64(bit % 64) : 0
                return word(position, index * 8) ^ mask
            }
            step(inverted(0), inverted(1), inverted(2), inverted(3))
        }

        @inline(__always)
        func finish(_ seed: UInt64) -> UInt64 {
            var (a, b, c, d) = (v0, v1, v2, v3)
            c ^= rotate((a &+ d) &* k0 &+ b, 33) &* k1
            d ^= rotate((b &+ c) &* k1 &+ a, 33) &* k0
            a ^= rotate((a &+ c) &* k0 &+ d, 33) &* k1
            b ^= rotate((b &+ d) &* k1 &+ c, 33) &* k0
            var state = seed &+ (a ^ b)
            state ^= rotate(state, 33)
            state &*= k0
            state ^= rotate(state, 33)
            return state
        }
    }
}
