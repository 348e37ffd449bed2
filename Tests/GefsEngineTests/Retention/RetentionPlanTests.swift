import Testing

@testable import GefsEngine

@Suite
struct RetentionPlanTests {
    private let main = Array("main".utf8)
    private let noon = CivilTime(year: 2026, month: 11, day: 22, hour: 12)?.seconds ?? 0

    private func plan(
        _ policy: String, _ made: [(String, UInt64)] = [], now: Int64,
        memory: RetentionPlan.Memory? = nil, zeroKeepsNone: Bool = false
    ) throws -> RetentionPlan {
        let names = Set(made.map { Array($0.0.utf8) })
        return RetentionPlan(
            branch: main, policy: try RetentionPolicy(parsing: policy.utf8),
            made: made.compactMap { RetentionPlan.Made(name: Array($0.0.utf8), generation: $0.1) },
            now: now, memory: memory, zeroKeepsNone: zeroKeepsNone, isTaken: { names.contains($0) })
    }

    private func texts(_ names: [[UInt8]]) -> [String] {
        names.map { String(decoding: $0, as: UTF8.self) }
    }

    @Test
    func `a branch without history gets one of each unit at once`() throws {
        let plan = try plan("60@m 24@h @d", now: noon + 7)
        #expect(
            texts(plan.making) == [
                "main@minute.2026.11.22_12:00:07", "main@hour.2026.11.22_12:00:07",
                "main@day.2026.11.22_12:00:07",
            ])
        #expect(plan.deleting.isEmpty)
        #expect(plan.memory == [.minute: noon + 7, .hour: noon + 7, .day: noon + 7])
    }

    @Test
    func `a snapshot is due when an interval of the clock has begun`() throws {
        let memory: RetentionPlan.Memory = [.minute: noon + 59, .hour: noon + 59, .day: noon + 59]
        #expect(try plan("@m @h @d", now: noon + 59, memory: memory).making.isEmpty)
        #expect(
            texts(try plan("@m @h @d", now: noon + 60, memory: memory).making)
                == ["main@minute.2026.11.22_12:01:00"])
        #expect(try plan("@5m", now: noon + 299, memory: memory).making.isEmpty)
        #expect(try plan("@5m", now: noon + 300, memory: memory).making.count == 1)
    }

    @Test
    func `the last time is told by names after a start`() throws {
        let made: [(String, UInt64)] = [
            ("main@minute.2026.11.22_11:58:00", 7), ("main@minute.2026.11.22_11:59:30", 9),
            ("other", 10), ("fork@minute.2026.11.22_12:00:01", 11),
        ]
        #expect(try plan("@m", Array(made[..<3]), now: noon - 1).making.isEmpty)
        #expect(try plan("@m", Array(made[..<3]), now: noon).making.count == 1)
    }

    @Test
    func `after a long stop there is one snapshot, not a row`() throws {
        let made: [(String, UInt64)] = [("main@minute.2026.01.01_00:00:00", 7)]
        #expect(
            texts(try plan("60@m", made, now: noon).making) == ["main@minute.2026.11.22_12:00:00"])
    }

    @Test
    func `the oldest beyond the count go, by state and not by name`() throws {
        let made: [(String, UInt64)] = [
            ("main@hour.2026.11.22_11:00:00", 9), ("main@hour.2099.01.01_00:00:00", 4),
            ("main@hour.2026.11.22_10:00:00", 8), ("main@hour.1970.01.01_00:00:00", 6),
        ]
        let plan = try plan("2@h", made, now: noon)
        #expect(texts(plan.making) == ["main@hour.2026.11.22_12:00:00"])
        #expect(
            texts(plan.deleting) == [
                "main@hour.2099.01.01_00:00:00", "main@hour.1970.01.01_00:00:00",
                "main@hour.2026.11.22_10:00:00",
            ])
    }

    @Test
    func `a count of 0 keeps all on disks of R and none on disks of N`() throws {
        let made: [(String, UInt64)] = [("main@hour.2026.11.22_11:00:00", 9)]
        let kept = try plan("0@h", made, now: noon)
        #expect(kept.making.count == 1 && kept.deleting.isEmpty)
        let none = try plan("0@h", made, now: noon, zeroKeepsNone: true)
        #expect(none.making.isEmpty)
        #expect(texts(none.deleting) == ["main@hour.2026.11.22_11:00:00"])
    }

    @Test
    func `an empty schedule makes and deletes nothing`() throws {
        let made: [(String, UInt64)] = [("main@hour.2026.11.22_11:00:00", 9)]
        let plan = try plan("", made, now: noon)
        #expect(plan.making.isEmpty && plan.deleting.isEmpty)
    }

    @Test
    func `a clock that goes back stops nothing and repeats no name`() throws {
        let made: [(String, UInt64)] = [
            ("main@minute.2026.11.22_12:00:00", 5), ("main@minute.2026.11.22_13:00:00", 9),
        ]
        // While running: the last one counts as made now.
        let back = try plan("@m", made, now: noon - 60, memory: [.minute: noon + 3600])
        #expect(back.making.isEmpty)
        #expect(back.memory == [.minute: noon - 60])
        let next = try plan("@m", made, now: noon, memory: back.memory)
        #expect(texts(next.making) == ["main@minute.2026.11.22_12:00:01"])
        // After a start: the latest that is not in the future.
        #expect(try plan("@m", made, now: noon + 59).making.isEmpty)
        #expect(try plan("@m", made, now: noon + 60).making.count == 1)
        // All are in the future: the present counts as the last time.
        let past = try plan("@m", made, now: noon - 60)
        #expect(past.making.isEmpty && past.memory == [.minute: noon - 60])
    }

    @Test
    func `a clock beyond the years of names makes nothing and does not trap`() throws {
        for now in [Int64.max, .min] {
            #expect(try plan("@m", now: now).making.isEmpty)
        }
    }
}
