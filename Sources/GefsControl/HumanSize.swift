/// Sizes as people write and read them: powers of 1024 with a letter.
public enum HumanSize {
    private static let units: [(letter: Character, shift: Int)] = [
        ("K", 10), ("M", 20), ("G", 30), ("T", 40), ("P", 50), ("E", 60),
    ]

    /// `4.0 GiB` and the like; whole bytes below 1024.
    public static func text(_ byteCount: UInt64) -> String {
        guard byteCount >= 1024 else { return "\(byteCount) B" }
        let (tenths, letter) = scaled(byteCount)
        return "\(tenths / 10).\(tenths % 10) \(letter)iB"
    }

    /// Tenths of the largest unit that fits, rounded, and that unit.
    private static func scaled(_ byteCount: UInt64) -> (tenths: UInt64, letter: Character) {
        for (letter, shift) in units {
            let whole = byteCount >> shift
            let part = byteCount & ((1 << shift) - 1)
            let tenths = whole * 10 + ((part >> (shift - 10)) * 10 + 512) >> 10
            if tenths < 10240 || shift == 60 { return (tenths, letter) }
        }
        return (0, "E")
    }

    /// Reads `4096`, `64K`, `10G`, `1.5T`, `4GiB`; nil for anything else, and beyond 64 bits.
    public static func parse(_ text: String) -> UInt64? {
        var digits = Substring(text)
        for suffix in ["iB", "ib", "B", "b"] where digits.hasSuffix(suffix) {
            digits = digits.dropLast(suffix.count)
            break
        }
        var shift = 0
        if let last = digits.last,
            let unit = units.first(where: { last.uppercased() == "\($0.letter)" })
        {
            shift = unit.shift
            digits = digits.dropLast()
        }
        let parts = digits.split(separator: ".", omittingEmptySubsequences: false)
        let isNumber = digits.utf8.allSatisfy { byte in
            byte == UInt8(ascii: ".") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
        }
        guard isNumber, (1...2).contains(parts.count), let whole = UInt64(parts[0]) else {
            return nil
        }
        var (total, overflow) = whole.multipliedReportingOverflow(by: 1 << shift)
        if parts.count == 2 {
            guard shift > 0, parts[1].count <= 6, let fraction = UInt64(parts[1]) else {
                return nil
            }
            var scale: UInt64 = 1
            for _ in parts[1] { scale *= 10 }
            let (quotient, remainder) = (UInt64(1) << shift).quotientAndRemainder(dividingBy: scale)
            let added = fraction * quotient + fraction * remainder / scale
            let (sum, carried) = total.addingReportingOverflow(added)
            total = sum
            overflow = overflow || carried
        }
        return overflow ? nil : total
    }
}
