/// Reads numbers and signs off the front of a text.
struct TextCursor {
    private(set) var rest: ArraySlice<UInt8>

    init(_ text: some Sequence<UInt8>) {
        rest = Array(text)[...]
    }

    var isAtEnd: Bool { rest.isEmpty }
    var next: UInt8? { rest.first }

    /// Passes this character if it is the next one.
    mutating func take(_ character: Character) -> Bool {
        guard let value = character.asciiValue, rest.first == value else { return false }
        rest.removeFirst()
        return true
    }

    /// Passes one character.
    mutating func takeAny() -> UInt8? { rest.popFirst() }

    /// The number in exactly so many digits.
    mutating func number(digits count: Int) -> Int? {
        guard rest.count >= count else { return nil }
        let digits = rest.prefix(count)
        guard digits.allSatisfy(Self.isDigit) else { return nil }
        rest = rest.dropFirst(count)
        return Int(String(decoding: digits, as: UTF8.self))
    }

    /// The number in all digits that follow; nil where there is none, or one of more than
    /// `digitsMax` digits.
    mutating func number(digitsMax: Int) -> Int? {
        let count = rest.prefix(while: Self.isDigit).count
        guard count > 0, count <= digitsMax else { return nil }
        return number(digits: count)
    }

    static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }
}
