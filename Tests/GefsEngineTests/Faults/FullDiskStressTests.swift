import GefsStress
import Testing

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

@Suite(.timeLimit(.minutes(30)))
struct FullDiskStressTests {
    /// `GEFS_STRESS_STEPS` for more; `gefs-stress` of a release build for millions.
    @Test
    func `a volume that is full all the time keeps what it acknowledged and can always give back`()
        throws
    {
        let steps = getenv("GEFS_STRESS_STEPS").flatMap { Int(String(cString: $0)) } ?? 5600
        let seed = getenv("GEFS_SEED").flatMap { UInt64(String(cString: $0)) } ?? 1
        let report = try FullDiskStress.run(steps: steps, seed: seed, campaignSteps: 800)
        print("seed \(seed): \(report)")
        #expect(report.refusals > 0 && report.measurements > 0)
    }
}
