import Testing

@testable import GefsEngine

/// Months of a schedule in random steps, against what can be said of it without looking at it.
@Suite
struct RetentionSimulationTests {
    /// A branch, its automatic snapshots and a clock that may be wrong.
    private struct World {
        let policy: RetentionPolicy
        var random: TreeRandom
        /// True time and what the clock adds to it, in seconds.
        var time: Int64 = 1_790_000_000
        var clockError: Int64 = 0
        var generation: UInt64 = 100
        var made: [RetentionPlan.Made] = []
        var memory: RetentionPlan.Memory?

        var now: Int64 { time + clockError }

        /// One look; returns the plan as it was carried out.
        mutating func look() -> RetentionPlan {
            let names = Set(made.map(\.name))
            let plan = RetentionPlan(
                branch: Array("main".utf8), policy: policy, made: made, now: now, memory: memory,
                zeroKeepsNone: false, isTaken: { names.contains($0) })
            for name in plan.making {
                made += [RetentionPlan.Made(name: name, generation: generation)].compactMap { $0 }
            }
            let deleted = Set(plan.deleting)
            made.removeAll { deleted.contains($0.name) }
            memory = plan.memory
            return plan
        }
    }

    private func world(_ policy: String, seed: UInt64) throws -> World {
        World(
            policy: try RetentionPolicy(parsing: policy.utf8), random: TreeRandom(seed: seed))
    }

    private static let policies = ["60@m 24@h @d", "3@7m 2@5h 4@2d", "@m", "1@m 1@h 1@d", "10@90m"]

    @Test(arguments: policies, treeTestSeeds(3))
    func `with a right clock each interval has the first look's snapshot`(
        policy: String, seed: UInt64
    ) throws {
        var world = try world(policy, seed: seed)
        var expected: [SnapshotTime.Unit: [Int64]] = [:]
        for _ in 0..<1500 {
            // Looks come every 5 s, but the machine may be busy, asleep or off.
            world.time += Int64(world.random.chance(90) ? 5 + world.random.below(40) : 5)
            if world.random.chance(2) { world.time += Int64(world.random.below(200_000)) }
            if world.random.chance(3) { world.memory = nil }
            if world.random.chance(30) { world.generation += 1 }
            _ = world.look()
            for rule in world.policy.rules {
                let last = expected[rule.unit]?.last
                if last.map({ $0 / rule.seconds < world.time / rule.seconds }) ?? true {
                    expected[rule.unit, default: []].append(world.time)
                }
                let kept = rule.count.map { expected[rule.unit, default: []].suffix($0) }
                let found = world.made.filter { $0.unit == rule.unit }.map(\.seconds).sorted()
                let isRight = found == Array(kept ?? expected[rule.unit, default: []][...])
                try #require(isRight, "\(policy), seed \(seed)")
            }
        }
    }

    @Test(arguments: policies, treeTestSeeds(3))
    func `a wrong clock neither stops the schedule nor repeats names`(
        policy: String, seed: UInt64
    ) throws {
        var world = try world(policy, seed: seed)
        /// Seconds between two looks at most.
        let gapMax: Int64 = 34
        var lastMade: [SnapshotTime.Unit: Int64] = [:]
        var disturbances: [SnapshotTime.Unit: Int64] = [:]
        for step in 0..<1500 {
            world.time += 5 + Int64(world.random.below(Int(gapMax) - 4))
            world.generation += UInt64(world.random.below(2))
            var isDisturbed = false
            if world.random.chance(1) {
                world.clockError += Int64(world.random.below(400_000)) - 200_000
                isDisturbed = true
            }
            if world.random.chance(1) {
                world.memory = nil
                isDisturbed = true
            }
            let before = world.made
            let plan = world.look()
            let isUnique =
                Set(world.made.map(\.name)).count == world.made.count
                && Set(plan.making).isDisjoint(with: before.map(\.name))
            try #require(isUnique, "\(policy), seed \(seed), step \(step)")
            for rule in world.policy.rules {
                let ofUnit = world.made.filter { $0.unit == rule.unit }
                if let count = rule.count { try #require(ofUnit.count <= count) }
                let newest = ofUnit.map(\.generation).max() ?? 0
                let hasNewest = before.filter { $0.unit == rule.unit }.allSatisfy {
                    $0.generation <= newest
                }
                try #require(hasNewest, "\(policy), seed \(seed), step \(step)")
                let madeNow = ofUnit.contains { made in plan.making.contains(made.name) }
                if madeNow || lastMade[rule.unit] == nil {
                    lastMade[rule.unit] = world.time
                    disturbances[rule.unit] = 0
                } else if isDisturbed {
                    disturbances[rule.unit, default: 0] += 1
                }
                // Each leap may cost what is left of an interval until a look, and no more.
                let silence = world.time - (lastMade[rule.unit] ?? 0)
                let patience =
                    (rule.seconds + gapMax) * (1 + disturbances[rule.unit, default: 0])
                try #require(silence <= patience, "\(policy), seed \(seed), step \(step)")
            }
        }
    }
}
