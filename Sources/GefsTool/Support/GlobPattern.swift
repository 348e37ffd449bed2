import GefsControl

/// A pattern over names as a shell knows it: `*`, `?`, `[a-z]`, `[^x]`, `\` before what is meant as
/// it stands. Works on bytes, except that `?` takes a whole character.
struct GlobPattern {
    private let pattern: [UInt8]

    init(_ text: String) {
        pattern = ByteText.bytes(of: text)
    }

    /// Whether the whole name fits the pattern. The cost is at most the product of both lengths.
    func matches(_ name: [UInt8]) -> Bool {
        var (patternIndex, nameIndex) = (0, 0)
        var retry: (pattern: Int, name: Int)?
        while nameIndex < name.count {
            if patternIndex < pattern.count, pattern[patternIndex] == UInt8(ascii: "*") {
                retry = (patternIndex + 1, nameIndex)
                patternIndex += 1
                continue
            }
            if let step = match(at: patternIndex, name, nameIndex) {
                (patternIndex, nameIndex) = step
                continue
            }
            guard let last = retry else { return false }
            retry = (last.pattern, last.name + 1)
            (patternIndex, nameIndex) = (last.pattern, last.name + 1)
        }
        return pattern[patternIndex...].allSatisfy { $0 == UInt8(ascii: "*") }
    }

    /// Where pattern and name go on after one character that fits.
    private func match(
        at index: Int, _ name: [UInt8], _ nameIndex: Int
    ) -> (pattern: Int, name: Int)? {
        guard index < pattern.count else { return nil }
        switch pattern[index] {
        case UInt8(ascii: "?"):
            var next = nameIndex + 1
            while next < name.count, name[next] & 0xc0 == 0x80 { next += 1 }
            return (index + 1, next)
        case UInt8(ascii: "["):
            guard let set = parseSet(at: index) else { break }
            return set.contains(name[nameIndex]) ? (set.end, nameIndex + 1) : nil
        case UInt8(ascii: "\\") where index + 1 < pattern.count:
            return pattern[index + 1] == name[nameIndex] ? (index + 2, nameIndex + 1) : nil
        default:
            break
        }
        return pattern[index] == name[nameIndex] ? (index + 1, nameIndex + 1) : nil
    }

    private struct ByteSet {
        var ranges: [ClosedRange<UInt8>] = []
        var isNegated = false
        /// Index in the pattern behind the closing bracket.
        var end = 0

        func contains(_ byte: UInt8) -> Bool {
            ranges.contains { $0.contains(byte) } != isNegated
        }
    }

    /// The set that begins at a bracket; nil where it is not closed.
    private func parseSet(at start: Int) -> ByteSet? {
        var set = ByteSet()
        var index = start + 1
        if index < pattern.count,
            pattern[index] == UInt8(ascii: "^") || pattern[index] == UInt8(ascii: "!")
        {
            set.isNegated = true
            index += 1
        }
        let first = index
        while index < pattern.count {
            if pattern[index] == UInt8(ascii: "]"), index > first {
                set.end = index + 1
                return set
            }
            let low = pattern[index]
            if index + 2 < pattern.count, pattern[index + 1] == UInt8(ascii: "-"),
                pattern[index + 2] != UInt8(ascii: "]")
            {
                let high = pattern[index + 2]
                if low <= high { set.ranges.append(low...high) }
                index += 3
            } else {
                set.ranges.append(low...low)
                index += 1
            }
        }
        return nil
    }
}
