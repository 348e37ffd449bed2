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
        var text: [UInt8] = []
        text.reserveCapacity(bytes.count)
        forEachPart(of: bytes) { part in
            switch part {
            case .scalar(_, let range):
                text.append(contentsOf: bytes[range])
            case .undecodable(let byte):
                if let scalar = Unicode.Scalar(escapeBase + UInt32(byte)) {
                    text.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
                }
            }
        }
        return String(decoding: text, as: UTF8.self)
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
                bytes.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
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
        var text: [UInt8] = []
        text.reserveCapacity(bytes.count)
        forEachPart(of: bytes) { part in
            switch part {
            case .scalar(let scalar, let range) where isControl(scalar):
                for byte in bytes[range] { text.append(contentsOf: escape(byte).utf8) }
            case .scalar(_, let range):
                text.append(contentsOf: bytes[range])
            case .undecodable(let byte):
                text.append(contentsOf: escape(byte).utf8)
            }
        }
        return String(decoding: text, as: UTF8.self)
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

    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        scalar.isASCII
            ? !(0x20..<0x7f).contains(scalar.value)
            : scalar.properties.generalCategory == .control
    }

    private enum Part {
        /// A character and where its bytes are.
        case scalar(Unicode.Scalar, Range<Int>)
        case undecodable(UInt8)
    }

    private static func forEachPart(of bytes: [UInt8], _ body: (Part) -> Void) {
        var index = 0
        while index < bytes.count {
            let first = bytes[index]
            if first < 0x80 {
                body(.scalar(Unicode.Scalar(first), index..<index + 1))
                index += 1
                continue
            }
            var decoder = UTF8()
            var iterator = bytes[index...].makeIterator()
            guard case .scalarValue(let scalar) = decoder.decode(&iterator), !isEscape(scalar)
            else {
                body(.undecodable(first))
                index += 1
                continue
            }
            let end = index + UTF8.width(scalar)
            body(.scalar(scalar, index..<end))
            index = end
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
