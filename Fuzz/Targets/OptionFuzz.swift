import GefsClient
import GefsControl
import GefsEngine

@testable import GefsServer

#if canImport(GefsTool)
    @testable import GefsTool
#endif

/// What people type: addresses, targets, patterns, modes, sizes, and texts that stand for any bytes.
public struct OptionFuzz: FuzzTarget {
    public static let name = "options"

    public init() {}

    public func run(_ input: UnsafeRawBufferPointer) throws {
        let bytes = Array(input)
        let text = ByteText.string(bytes)
        try promise(ByteText.bytes(of: text) == bytes, "bytes do not survive as text")
        _ = ByteText.shown(bytes)
        try addresses(text)
        try targets(text)
        try patterns(bytes)
        try words(text)
        try numbers(text)
    }

    private func addresses(_ text: String) throws {
        _ = try? DialAddress(text)
        guard let address = try? ListenAddress(text) else { return }
        let again = try? ListenAddress(address.description)
        try promise(again == address, "\(address) is not read as it is written")
    }

    private func targets(_ text: String) throws {
        let target = TargetPath(text)
        let again = TargetPath(ByteText.string(target.bytes))
        try promise(again.elements == target.elements, "a target's elements do not survive")
        try promise(again.branchName == target.branchName, "a target's branch does not survive")
        try promise(target.isInside(target), "a target is outside of itself")
        if case .local(let path) = CopyOperand(text) { _ = LocalPath.name(path) }
        let bytes = ByteText.bytes(of: text)
        bytes.withUnsafeBytes { bytes in
            _ = AttachSpecifier(bytes, onControlSocket: true)
            _ = AttachSpecifier(bytes, onControlSocket: false)
        }
    }

    /// The first line is the pattern, the rest the name.
    private func patterns(_ bytes: [UInt8]) throws {
        let pattern = Array(bytes.prefix { $0 != UInt8(ascii: "\n") })
        let name = Array(bytes.dropFirst(pattern.count + 1))
        let glob = GlobPattern(ByteText.string(pattern))
        let matches = glob.matches(name)
        if !pattern.contains(where: { "*?[\\".utf8.contains($0) }) {
            try promise(matches == (pattern == name), "a plain name is not matched by itself")
        }
        if pattern.allSatisfy({ $0 == UInt8(ascii: "*") }), !pattern.isEmpty {
            try promise(matches, "a star does not match")
        }
    }

    /// Words as people quote them come out as they were.
    private func words(_ text: String) throws {
        let words = ControlWords.split(text)
        let quoted = words.map { word in
            "'" + word.unicodeScalars.map { $0 == "'" ? "''" : String($0) }.joined() + "'"
        }
        try promise(
            ControlWords.split(quoted.joined(separator: " ")).map { Array($0.utf8) }
                == words.map { Array($0.utf8) }, "words do not survive quotes")
    }

    private func numbers(_ text: String) throws {
        if let size = HumanSize.parse(text) {
            _ = HumanSize.text(size)
            try promise(text.utf8.allSatisfy { $0 > 0x2d }, "a size with a sign")
            try promise(HumanSize.parse("\(size)") == size, "a size is not itself")
        }
        _ = CacheLimit.parse(text)
        if let change = ModeChange(text) {
            for mode in [0, 0o644, UInt32.max] {
                let changed = change.applied(to: mode)
                _ = ModeText.letters(changed) + ModeText.octal(changed)
            }
        }
    }
}
