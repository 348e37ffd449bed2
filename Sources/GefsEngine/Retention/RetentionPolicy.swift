/// Which automatic snapshots of a branch are made, and how many are kept.
///
/// Written as `60@m 24@h @d`: words `[COUNT]@[INTERVAL]UNIT`, with unit m, h or d. Without a count
/// all are kept; the interval is 1 where it is left out. No words: no snapshots.
/// Source: SEMANTICS 8.2.
public struct RetentionPolicy: Hashable, Sendable {
    /// The snapshots of one unit.
    public struct Rule: Hashable, Sendable {
        /// How many are kept; nil: all.
        public var count: Int?
        /// Units from one snapshot to the next.
        public var interval: Int
        public var unit: SnapshotTime.Unit

        public init(count: Int?, interval: Int = 1, unit: SnapshotTime.Unit) {
            self.count = count
            self.interval = interval
            self.unit = unit
        }

        /// Seconds from one snapshot to the next.
        public var seconds: Int64 { Int64(interval) * unit.seconds }
    }

    /// At most one for each unit.
    public private(set) var rules: [Rule]

    /// Name of the configuration entry that holds a policy.
    public static let key = Array("retain".utf8)

    /// What holds where nothing is set: 60 of a minute, 24 of an hour, all of a day.
    public static let standard = RetentionPolicy(rules: [
        Rule(count: 60, unit: .minute), Rule(count: 24, unit: .hour), Rule(count: nil, unit: .day),
    ])

    /// No snapshots.
    public static let empty = RetentionPolicy(rules: [])

    private init(rules: [Rule]) {
        self.rules = rules
    }

    private static let digitsMax = 6

    /// Reads the value of the configuration entry.
    public init(parsing text: some Sequence<UInt8>) throws(RetentionFault) {
        rules = []
        let words = Array(text).split { $0 == UInt8(ascii: " ") || (9...13).contains($0) }
        for word in words {
            let rule = try Self.rule(word)
            if rules.contains(where: { $0.unit == rule.unit }) {
                throw .repeatedUnit(word: Array(word))
            }
            rules.append(rule)
        }
    }

    private static func rule(_ word: ArraySlice<UInt8>) throws(RetentionFault) -> Rule {
        var text = TextCursor(word)
        var count: Int?
        if text.next.map(TextCursor.isDigit) ?? false {
            count = text.number(digitsMax: digitsMax)
            if count == nil { throw .badNumber(word: Array(word)) }
        }
        guard text.take("@") else { throw .missingSign(word: Array(word)) }
        var interval = 1
        if text.next.map(TextCursor.isDigit) ?? false {
            guard let number = text.number(digitsMax: digitsMax), number > 0 else {
                throw .badNumber(word: Array(word))
            }
            interval = number
        }
        let letter = text.takeAny().map { Character(Unicode.Scalar($0)) }
        let unit = SnapshotTime.Unit.allCases.first { $0.letter == letter }
        guard let unit, text.isAtEnd else { throw .badUnit(word: Array(word)) }
        return Rule(count: count, interval: interval, unit: unit)
    }

    /// The value of the configuration entry, in its shortest form.
    public var text: String {
        rules.map { rule in
            "\(rule.count.map(String.init) ?? "")@"
                + "\(rule.interval == 1 ? "" : String(rule.interval))\(rule.unit.letter)"
        }.joined(separator: " ")
    }
}

/// Why a retention schedule is refused, and the word that it is refused for.
public enum RetentionFault: Error, Hashable, Sendable {
    /// A word without `@`.
    case missingSign(word: [UInt8])
    /// A count or interval that is too large, or an interval of 0.
    case badNumber(word: [UInt8])
    /// A unit that is none of m, h and d.
    case badUnit(word: [UInt8])
    /// A second rule for a unit: its snapshots could not be told from those of the first.
    case repeatedUnit(word: [UInt8])
}
