import Testing

@testable import GefsEngine

@Suite
struct RetentionPolicyTests {
    private func parse(_ text: String) throws -> RetentionPolicy {
        try RetentionPolicy(parsing: text.utf8)
    }

    @Test
    func `the default is what the original has`() throws {
        #expect(try parse("60@m 24@h @d") == .standard)
        #expect(RetentionPolicy.standard.text == "60@m 24@h @d")
    }

    @Test
    func `counts, intervals and units`() throws {
        let policy = try parse("  10@15m\t@2h 0@d\n")
        #expect(
            policy.rules == [
                .init(count: 10, interval: 15, unit: .minute),
                .init(count: nil, interval: 2, unit: .hour),
                .init(count: 0, unit: .day),
            ])
        #expect(policy.text == "10@15m @2h 0@d")
        #expect(policy.rules.map(\.seconds) == [900, 7200, 86_400])
        #expect(try parse("5@1m").text == "5@m")
    }

    @Test
    func `nothing is no snapshots`() throws {
        #expect(try parse("") == .empty)
        #expect(try parse(" \n") == .empty)
        #expect(RetentionPolicy.empty.text.isEmpty)
    }

    @Test
    func `12.27 a bad schedule is an error that names the word`() {
        let bad: [(String, RetentionFault)] = [
            ("60@m 5@x", .badUnit(word: Array("5@x".utf8))),
            ("5@", .badUnit(word: Array("5@".utf8))),
            ("5@mm", .badUnit(word: Array("5@mm".utf8))),
            ("@5", .badUnit(word: Array("@5".utf8))),
            ("5m", .missingSign(word: Array("5m".utf8))),
            ("x@m", .missingSign(word: Array("x@m".utf8))),
            ("-1@m", .missingSign(word: Array("-1@m".utf8))),
            ("5@0m", .badNumber(word: Array("5@0m".utf8))),
            ("99999999999999999999@m", .badNumber(word: Array("99999999999999999999@m".utf8))),
            ("@99999999999999999999m", .badNumber(word: Array("@99999999999999999999m".utf8))),
            ("5@m 6@2m", .repeatedUnit(word: Array("6@2m".utf8))),
        ]
        for (text, fault) in bad {
            #expect(throws: fault) { try parse(text) }
        }
    }
}
