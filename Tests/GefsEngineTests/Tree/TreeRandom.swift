#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A small generator whose whole state is its seed.
struct TreeRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var word = state
        word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
        word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
        return word ^ (word >> 31)
    }

    mutating func below(_ limit: Int) -> Int {
        Int(next() % UInt64(limit))
    }

    mutating func chance(_ percent: Int) -> Bool {
        below(100) < percent
    }

    mutating func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) }
    }
}

/// The seeds of a random test: the one in `GEFS_SEED`, or fixed ones and a fresh one.
func treeTestSeeds(_ count: Int) -> [UInt64] {
    if let text = getenv("GEFS_SEED"), let seed = UInt64(String(cString: text)) { return [seed] }
    return (1..<UInt64(count)).map { $0 } + [UInt64.random(in: 0...(.max))]
}
