import GefsEngine

/// The mode of a file as text, as Plan 9 shows it.
enum ModeText {
    /// `d-rwxr-xr-x`: kind (`d` directory, `a` append only), `l` exclusive or `t` temporary, rights.
    static func letters(_ mode: UInt32) -> String {
        var text = "-"
        if mode & ModeBits.directory != 0 {
            text = "d"
        } else if mode & ModeBits.appendOnly != 0 {
            text = "a"
        }
        if mode & ModeBits.exclusive != 0 {
            text += "l"
        } else if mode & ModeBits.temporary != 0 {
            text += "t"
        } else {
            text += "-"
        }
        for shift in [6, 3, 0] as [UInt32] {
            let bits = mode >> shift & 7
            text += bits & 4 != 0 ? "r" : "-"
            text += bits & 2 != 0 ? "w" : "-"
            text += bits & 1 != 0 ? "x" : "-"
        }
        return text
    }

    /// The permission bits as four octal digits.
    static func octal(_ mode: UInt32) -> String {
        let digits = String(mode & ModeBits.permissions, radix: 8)
        return String(repeating: "0", count: 4 - digits.count) + digits
    }
}

/// A change of modes as chmod reads it: `0644`, or `u+rw,go-w`, with `a` append only, `l` exclusive
/// and `t` temporary beside `rwx`.
struct ModeChange {
    private enum Step {
        case set(UInt32)
        case add(UInt32)
        case remove(UInt32)
        case assign(UInt32, within: UInt32)
    }

    private var steps: [Step] = []

    /// Nil where the text is no mode.
    init?(_ text: String) {
        if let mode = UInt32(text, radix: 8) {
            guard mode <= ModeBits.permissions else { return nil }
            steps = [.set(mode)]
            return
        }
        for clause in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let step = Self.parse(clause) else { return nil }
            steps.append(step)
        }
    }

    private static func parse(_ clause: Substring) -> Step? {
        guard let position = clause.firstIndex(where: { "+-=".contains($0) }) else { return nil }
        var who: UInt32 = 0
        for letter in clause[..<position] {
            switch letter {
            case "u": who |= 0o700
            case "g": who |= 0o070
            case "o": who |= 0o007
            case "a": who |= 0o777
            default: return nil
            }
        }
        if who == 0 { who = 0o777 }
        var bits: UInt32 = 0
        for letter in clause[clause.index(after: position)...] {
            switch letter {
            case "r": bits |= 0o444 & who
            case "w": bits |= 0o222 & who
            case "x": bits |= 0o111 & who
            case "a": bits |= ModeBits.appendOnly
            case "l": bits |= ModeBits.exclusive
            case "t": bits |= ModeBits.temporary
            default: return nil
            }
        }
        switch clause[position] {
        case "+": return .add(bits)
        case "-": return .remove(bits)
        default: return .assign(bits, within: who)
        }
    }

    /// The mode after the change; octal digits keep the bits that are no permissions.
    func applied(to mode: UInt32) -> UInt32 {
        var mode = mode
        for step in steps {
            switch step {
            case .set(let bits): mode = mode & ~ModeBits.permissions | bits
            case .add(let bits): mode |= bits
            case .remove(let bits): mode &= ~bits
            case .assign(let bits, let within): mode = mode & ~within | bits
            }
        }
        return mode
    }
}
