import Testing

@testable import GefsEngine

@Suite
struct SnapshotTimeTests {
    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    @Test
    func `names of the original are read and written`() throws {
        let name = bytes("main@hour.2026.11.22_13:56:50")
        let time = try #require(SnapshotTime(name: name))
        #expect(time.branch == bytes("main"))
        #expect(time.unit == .hour)
        #expect(
            time.time == CivilTime(year: 2026, month: 11, day: 22, hour: 13, minute: 56, second: 50)
        )
        #expect(time.time.seconds == 1_795_355_810)
        #expect(time.name == name)
    }

    @Test
    func `a branch may have signs in its own name`() throws {
        let time = try #require(SnapshotTime(name: bytes("a@b.c@day.1969.12.31_23:59:59")))
        #expect(time.branch == bytes("a@b.c"))
        #expect(time.time.seconds == -1)
        let nested = bytes("main@day.2026.01.02_03:04:05@minute.2026.01.02_03:05:00")
        #expect(SnapshotTime(name: nested)?.unit == .minute)
        #expect(SnapshotTime(name: nested)?.name == nested)
    }

    @Test(arguments: [
        "main", "main@", "@day.2026.11.22_13:56:50", "main@day", "main@day.",
        "main@week.2026.11.22_13:56:50",
        "main@day.2026.11.22", "main@day.2026.11.22_13:56", "main@day.2026.11.22_13:56:5",
        "main@day.2026.11.22_13:56:500", "main@day.2026.13.22_13:56:50",
        "main@day.2026.00.22_13:56:50",
        "main@day.2026.02.29_13:56:50", "main@day.2026.11.31_13:56:50",
        "main@day.2026.11.00_13:56:50",
        "main@day.2026.11.22_24:00:00", "main@day.2026.11.22_13:60:50",
        "main@day.2026.11.22_13:56:60",
        "main@day.+026.11.22_13:56:50", "main@day.2026-11-22_13:56:50",
        "main@Day.2026.11.22_13:56:50",
        "main@day.2026.11.22_13:56:50@", "main@day.2026.11.22_13:56:50x",
    ])
    func `other names are none of a schedule`(name: String) {
        #expect(SnapshotTime(name: bytes(name)) == nil)
    }

    @Test
    func `every day of two thousand years comes back`() throws {
        let first = try #require(CivilTime(year: 1000, month: 1, day: 1)).seconds
        var days: Int64 = 0
        var wrong = 0
        for year in 1000...2999 {
            for month in 1...12 {
                for day in 1...CivilTime.dayCount(year: year, month: month) {
                    let seconds = first + days * CivilTime.daySeconds
                    let time = CivilTime(year: year, month: month, day: day)
                    if time?.seconds != seconds || CivilTime(seconds: seconds) != time {
                        wrong += 1
                    }
                    days += 1
                }
            }
        }
        #expect(wrong == 0)
        // 5 times the 400 years after which the calendar repeats.
        #expect(days == 5 * 146_097)
    }

    @Test
    func `other years have no names`() throws {
        let first = try #require(CivilTime(year: 0, month: 1, day: 1)).seconds
        let last = try #require(CivilTime(year: 9999, month: 12, day: 31)).seconds + 86_399
        #expect(CivilTime(seconds: first) != nil)
        #expect(CivilTime(seconds: first - 1) == nil)
        #expect(CivilTime(seconds: last) != nil)
        #expect(CivilTime(seconds: last + 1) == nil)
        #expect(CivilTime(seconds: .min) == nil)
        #expect(CivilTime(seconds: .max) == nil)
        #expect(CivilTime(year: 10_000, month: 1, day: 1) == nil)
        #expect(CivilTime(year: -1, month: 1, day: 1) == nil)
    }

    @Test(arguments: treeTestSeeds(2))
    func `seconds come back`(seed: UInt64) throws {
        var random = TreeRandom(seed: seed)
        let last = try #require(CivilTime(year: 9999, month: 12, day: 31)).seconds + 86_399
        let first = try #require(CivilTime(year: 0, month: 1, day: 1)).seconds
        for _ in 0..<20_000 {
            let seconds = Int64.random(in: first...last, using: &random)
            let time = try #require(CivilTime(seconds: seconds))
            #expect(time.seconds == seconds)
            let unit = try #require(SnapshotTime.Unit.allCases.randomElement(using: &random))
            let name = SnapshotTime(branch: random.bytes(3) + [1], unit: unit, time: time)
            #expect(SnapshotTime(name: name.name) == name)
        }
        #expect(CivilTime(seconds: last)?.description == "9999-12-31T23:59:59Z")
        #expect(CivilTime(seconds: 0)?.description == "1970-01-01T00:00:00Z")
    }
}
