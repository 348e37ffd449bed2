import GefsControl

/// An operand of `cp`: `[BRANCH]:/PATH` lies in the image, everything else on this machine.
///
/// As with scp and docker cp the far side is marked. A local name that holds `:/` is written with
/// `./` or `/` in front.
enum CopyOperand {
    case image(TargetPath)
    case local([UInt8])

    init(_ text: String) {
        let bytes = ByteText.bytes(of: text)
        let isPath =
            bytes.starts(with: "/".utf8) || bytes.starts(with: "./".utf8)
            || bytes.starts(with: "../".utf8)
        if !isPath, TargetPath.branchEnd(in: bytes) != nil {
            self = .image(TargetPath(text))
        } else {
            self = .local(bytes)
        }
    }

    var shown: String {
        switch self {
        case .image(let target): target.shown
        case .local(let path): ByteText.shown(path)
        }
    }
}

/// Names of local paths.
enum LocalPath {
    /// The last element; nil for `/`, `.`, `..` and what ends in them.
    static func name(_ path: [UInt8]) -> [UInt8]? {
        guard let last = path.split(separator: UInt8(ascii: "/")).last.map({ Array($0) }) else {
            return nil
        }
        return last == Array(".".utf8) || last == Array("..".utf8) ? nil : last
    }
}
