import GefsDamage
import GefsEngine
import Testing

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A little of what `gefs-damage` does in quantity: `$GEFS_DAMAGE_SAMPLES` of each image.
@Suite struct DamageTrialTests {
    private static let samples =
        getenv("GEFS_DAMAGE_SAMPLES").flatMap { Int(String(cString: $0)) } ?? 10

    @Test(arguments: ["small", "history", "fresh"])
    func `damage is harmless or reported, and never wrong data`(name: String) throws {
        let seed = storeTestSeed()
        let trial = try DamageTrial(name: name, image: try TrialImages.make(name, seed: seed))
        for sample in 0..<Self.samples {
            let outcome = trial.run(seed: seed &+ UInt64(sample))
            let isGood = outcome.failures.isEmpty
            #expect(
                isGood, "seed \(seed), sample \(sample): \(outcome.damage): \(outcome.failures)")
        }
    }

    @Test func `every kind of block occurs in some image`() throws {
        var found: Set<DiskMap.Role> = []
        for name in ["history", "lists", "labels", "tree"] {
            found.formUnion(try DiskMap(try TrialImages.make(name, seed: 1)).blocks.keys)
        }
        #expect(Set(DiskMap.Role.allCases).subtracting(found) == [])
    }
}
