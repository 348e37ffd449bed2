/// Text that may stand for any bytes: names in a gefs and arguments of a shell need not be UTF-8.
///
/// A byte that is no UTF-8 becomes a character of the last private plane on the way in and that
/// byte again on the way out, so that an undecodable name survives as a `String`.
public enum ByteText {
    private static let escapeBase: UInt32 = 0x10_FE00
    /// With which all characters that stand for bytes begin, in UTF-8.
    private static let escapeByte: UInt8 = 0xf4

    /// The bytes as text; `bytes(of:)` is the way back.
    public static func string(_ bytes: some Collection<UInt8>) -> String {
        let bytes = Array(bytes)
        if !bytes.contains(escapeByte), let text = String(validating: bytes, as: UTF8.self) {
            return text
        }
        var text = String.UnicodeScalarView()
        forEachPart(of: bytes) { part in
            switch part {
            case .scalar(let scalar):
                text.append(scalar)
            case .undecodable(let byte):
                if let scalar = Unicode.Scalar(escapeBase + UInt32(byte)) { text.append(scalar) }
            }
        }
        return String(text)
    }

    /// The bytes that a text of `string(_:)`, or any other text, stands for.
    public static func bytes(of text: String) -> [UInt8] {
        if !text.utf8.contains(escapeByte) { return Array(text.utf8) }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count)
        for scalar in text.unicodeScalars {
            if isEscape(scalar) {
                bytes.append(UInt8(scalar.value - escapeBase))
            } else {
                bytes.append(contentsOf: UTF8.encode(scalar).map(Array.init) ?? [])
            }
        }
        return bytes
    }

    /// The bytes as text that is safe to show: what is not printable is written as `\xNN`.
    public static func shown(_ bytes: some Collection<UInt8>) -> String {
        let bytes = Array(bytes)
        if bytes.allSatisfy({ (0x20..<0x7f).contains($0) }) {
            return String(decoding: bytes, as: UTF8.self)
        }
        var text = ""
        forEachPart(of: bytes) { part in
            switch part {
            case .scalar(let scalar) where scalar.properties.generalCategory == .control:
                text += UTF8.encode(scalar).map { $0.map(escape).joined() } ?? ""
            case .scalar(let scalar):
                text.unicodeScalars.append(scalar)
            case .undecodable(let byte):
                text += escape(byte)
            }
        }
        return text
    }

    /// The text safe to show; for arguments that are named in an error.
    public static func shown(_ text: String) -> String {
        shown(bytes(of: text))
    }

    /// The text safe to show, its lines kept; for messages that quote arguments.
    public static func shownLines(_ text: String) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false).map { shown(String($0)) }
            .joined(separator: "\n")
    }

    /// Whether the bytes are UTF-8.
    public static func isText(_ bytes: some Collection<UInt8>) -> Bool {
        var isText = true
        forEachPart(of: Array(bytes)) { part in
            if case .undecodable = part { isText = false }
        }
        return isText
    }

    /// The bytes as two lower case digits each.
    public static func hexadecimal(_ bytes: some Collection<UInt8>) -> String {
        bytes.map(pair).joined()
    }

    /// Whether the character stands for a byte. In a name its own bytes stand for themselves, each
    /// alone, or they would come back as that byte.
    private static func isEscape(_ scalar: Unicode.Scalar) -> Bool {
        (escapeBase + 0x80...escapeBase + 0xff).contains(scalar.value)
    }

    private enum Part {
        case scalar(Unicode.Scalar)
        case undecodable(UInt8)
    }

    private static func forEachPart(of bytes: [UInt8], _ body: (Part) -> Void) {
        var rest = bytes[...]
        while let first = rest.first {
            if first < 0x80 {
                body(.scalar(Unicode.Scalar(first)))
                rest = rest.dropFirst()
                continue
            }
            var decoder = UTF8()
            var iterator = rest.makeIterator()
            guard case .scalarValue(let scalar) = decoder.decode(&iterator),
                !isEscape(scalar)
            else {
                body(.undecodable(rest.removeFirst()))
                continue
            }
            body(.scalar(scalar))
            rest.removeFirst(UTF8.width(scalar))
        }
    }

    private static func escape(_ byte: UInt8) -> String {
        "\\x" + pair(byte)
    }

    private static func pair(_ byte: UInt8) -> String {
        let digits = String(byte, radix: 16)
        return digits.count == 1 ? "0" + digits : digits
    }
}
