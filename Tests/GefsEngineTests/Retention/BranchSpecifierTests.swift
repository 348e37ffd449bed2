import Testing

@testable import GefsEngine

@Suite
struct BranchSpecifierTests {
    private func parse(_ text: String) -> BranchSpecifier? { BranchSpecifier(Array(text.utf8)) }

    private func state(_ text: String) -> BranchSpecifier.State? { parse("main@" + text)?.state }

    private func seconds(_ text: String) throws -> Int64 {
        guard case .time(let time) = state(text) else { throw Failure(text: text) }
        #expect(time % 1_000_000_000 == 999_999_999)
        return time / 1_000_000_000
    }

    private struct Failure: Error {
        var text: String
    }

    @Test
    func `times are UTC unless they name a zone`() throws {
        let noon = try #require(CivilTime(year: 2026, month: 11, day: 22, hour: 12)).seconds
        #expect(try seconds("2026-11-22") == noon - 12 * 3600)
        #expect(try seconds("2026-11-22T12:00") == noon)
        #expect(try seconds("2026-11-22t12:00:07") == noon + 7)
        #expect(try seconds("2026-11-22T12:00Z") == noon)
        #expect(try seconds("2026-11-22T14:00+02:00") == noon)
        #expect(try seconds("2026-11-22T08:30:01-03:30") == noon + 1)
    }

    @Test
    func `a fraction names a nanosecond`() throws {
        let second = try #require(CivilTime(year: 2026, month: 11, day: 22)).seconds * 1_000_000_000
        #expect(state("2026-11-22T00:00:00.5") == .time(second + 500_000_000))
        #expect(state("2026-11-22T00:00:00.000000001Z") == .time(second + 1))
    }

    @Test
    func `ages`() {
        #expect(state("-15m") == .ago(900_000_000_000))
        #expect(state("-0s") == .ago(0))
        #expect(state("-2w") == .ago(14 * 86_400_000_000_000))
        #expect(state("-1d12h30s") == .ago(129_630_000_000_000))
        #expect(state("-999999999w") == .ago(.max))
    }

    @Test(arguments: [
        "-", "-5", "-m", "-5m-", "-5M", "-1000000000s", "2026-11-22T", "2026-11-22T10",
        "2026-11-22T10:00:",
        "2026-13-01", "2026-02-30", "2026-11-22T24:00", "2026-11-22T10:00+2:00",
        "2026-11-22T10:00+02",
        "2026-11-22T10:00ZZ", "2026-11-22 10:00", "2026-1-2", "26-11-22", "2026-11-22T10:00:00.",
        "2026-11-22T10:00:00.1234567890", "hour", "day.2026.11.22", "café",
    ])
    func `what is no time is a name`(text: String) {
        #expect(state(text) == .named(Array(text.utf8)))
    }

    @Test
    func `the last sign counts`() {
        #expect(parse("a@b@-1s")?.branch == Array("a@b".utf8))
        #expect(parse("main~3")?.state == .back(3))
        #expect(parse("main~3")?.branch == Array("main".utf8))
        #expect(parse("main@-15m~2")?.branch == Array("main@-15m".utf8))
        #expect(parse("main~2@-15m")?.branch == Array("main~2".utf8))
        #expect(parse("a~b@c")?.state == .named([UInt8(ascii: "c")]))
        for text in ["", "main", "@", "main@", "@now", "~1", "main~", "main~x", "main~1234567890"] {
            #expect(parse(text) == nil)
        }
    }

    @Test
    func `times beyond clocks are the nearest that clocks tell`() {
        #expect(state("9999-12-31") == .time(.max))
        #expect(state("0000-01-01") == .time(.min))
    }

    @Test(arguments: treeTestSeeds(2))
    func `no bytes make it trap`(seed: UInt64) {
        var random = TreeRandom(seed: seed)
        let alphabet = Array("main@-~:.+TZ0123456789smhdw\u{0}\u{ff}".utf8)
        for _ in 0..<50_000 {
            let count = Int.random(in: 0...40, using: &random)
            let text = (0..<count).compactMap { _ in alphabet.randomElement(using: &random) }
            if let specifier = BranchSpecifier(text) {
                #expect(specifier.branch.count < text.count)
            }
            _ = SnapshotTime(name: text)
            _ = try? RetentionPolicy(parsing: text)
        }
    }
}
