/// MetroHash64, variant 1: the one hash function of the format.
///
/// Words of the input are read little-endian on every machine.
/// Source: FORMAT 2.
public enum MetroHash64 {
    /// The seed of all hashes on disk.
    public static let diskSeed: UInt64 = 0x6765

    static var k0: UInt64 { 0xC83A_91E1 }
    static var k1: UInt64 { 0x8648_DBDB }
    static var k2: UInt64 { 0x7BDE_C03B }
    static var k3: UInt64 { 0x2F58_70A5 }
    static var stripeBytes: Int { 32 }

    /// The hash of `bytes`.
    public static func hash(_ bytes: UnsafeRawBufferPointer, seed: UInt64 = 0x6765) -> UInt64 {
        var state = (seed &+ k2) &* k0 &+ UInt64(bytes.count)
        if let start = bytes.baseAddress {
            var position = start
            if bytes.count >= stripeBytes {
                let stripes = bytes.count / stripeBytes
                state &+= hashStripes(position, count: stripes, state: state)
                position += stripes * stripeBytes
            }
            state = hashRest(position, byteCount: bytes.count % stripeBytes, state: state)
        }
        state ^= rotate(state, 33)
        state &*= k0
        state ^= rotate(state, 33)
        return state
    }

    /// What the full stripes add to the state: four accumulators, a word each per stripe.
    @inline(__always)
    private static func hashStripes(
        _ start: UnsafeRawPointer, count: Int, state: UInt64
    ) -> UInt64 {
        var v0 = state
        var v1 = state
        var v2 = state
        var v3 = state
        var position = start
        let end = start + count * stripeBytes
        while position < end {
            v0 = rotate(v0 &+ word(position, 0) &* k0, 29) &+ v2
            v1 = rotate(v1 &+ word(position, 8) &* k1, 29) &+ v3
            v2 = rotate(v2 &+ word(position, 16) &* k2, 29) &+ v0
            v3 = rotate(v3 &+ word(position, 24) &* k3, 29) &+ v1
            position += stripeBytes
        }
        v2 ^= rotate((v0 &+ v3) &* k0 &+ v1, 33) &* k1
        v3 ^= rotate((v1 &+ v2) &* k1 &+ v0, 33) &* k0
        v0 ^= rotate((v0 &+ v2) &* k0 &+ v3, 33) &* k1
        v1 ^= rotate((v1 &+ v3) &* k1 &+ v2, 33) &* k0
        return v0 ^ v1
    }

    /// The last, incomplete stripe: at most one step each of 16, 8, 4, 2 and 1 bytes.
    @inline(__always)
    private static func hashRest(
        _ start: UnsafeRawPointer, byteCount: Int, state: UInt64
    ) -> UInt64 {
        var state = state
        var position = start
        if byteCount & 16 != 0 {
            var v0 = rotate(state &+ word(position, 0) &* k0, 33) &* k1
            var v1 = rotate(state &+ word(position, 8) &* k1, 33) &* k2
            v0 ^= rotate(v0 &* k0, 35) &+ v1
            v1 ^= rotate(v1 &* k3, 35) &+ v0
            state &+= v1
            position += 16
        }
        if byteCount & 8 != 0 {
            state &+= word(position, 0) &* k3
            state ^= rotate(state, 33) &* k1
            position += 8
        }
        if byteCount & 4 != 0 {
            state &+= UInt64(UInt32(littleEndian: position.loadUnaligned(as: UInt32.self))) &* k3
            state ^= rotate(state, 15) &* k1
            position += 4
        }
        if byteCount & 2 != 0 {
            state &+= UInt64(UInt16(littleEndian: position.loadUnaligned(as: UInt16.self))) &* k3
            state ^= rotate(state, 13) &* k1
            position += 2
        }
        if byteCount & 1 != 0 {
            state &+= UInt64(position.load(as: UInt8.self)) &* k3
            state ^= rotate(state, 25) &* k1
        }
        return state
    }

    @inline(__always)
    static func word(_ position: UnsafeRawPointer, _ offset: Int) -> UInt64 {
        UInt64(littleEndian: position.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }

    @inline(__always)
    static func rotate(_ value: UInt64, _ bits: UInt64) -> UInt64 {
        value &>> bits | value &<< (64 &- bits)
    }
}
