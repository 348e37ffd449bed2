#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A generator that repeats what a seed gave: `GEFS_SEED` replays.
struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64

    init(function: String = #function) {
        let seed = Self.environmentSeed ?? UInt64.random(in: 0...UInt64.max)
        print("\(function): GEFS_SEED=\(seed)")
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }

    private static var environmentSeed: UInt64? {
        guard let text = getenv("GEFS_SEED") else { return nil }
        return UInt64(String(cString: text))
    }
}
