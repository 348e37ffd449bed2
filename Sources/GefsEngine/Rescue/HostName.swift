import GefsFormat

/// Names of the volume as names that any host can be given.
///
/// They come from a foreign disk: none may lead out of the directory that it is made in.
enum HostName {
    /// Bytes that most hosts allow in a name.
    private static let bytesMax = 255

    /// A name that is safe to use.
    ///
    /// - Returns: the name itself where it is safe, else one with `%` and digits in place of what
    ///   is not, or the qid where that would be too long.
    static func safe(_ name: [UInt8], qid: UInt64) -> [UInt8] {
        let isDots = name == Array(".".utf8) || name == Array("..".utf8)
        if name.isEmpty { return nameless(qid) }
        var safe: [UInt8] = []
        for byte in name {
            if byte == 0 || byte == UInt8(ascii: "/") || (isDots && byte == UInt8(ascii: ".")) {
                safe += Array("%\(byte < 16 ? "0" : "")\(String(byte, radix: 16))".utf8)
            } else {
                safe.append(byte)
            }
        }
        return safe.count <= bytesMax ? safe : nameless(qid)
    }

    /// What stands for a name that is not known.
    static func nameless(_ qid: UInt64) -> [UInt8] {
        Array("QID\(qid)".utf8)
    }
}
