import GefsControl

/// A place in an image: `[BRANCH:]PATH`.
///
/// The text has a branch only if it contains `:/`, and the branch ends at the first one, since
/// names of branches and times contain colons themselves. Source: CLI.md, "Verbs".
struct TargetPath: Hashable {
    /// Name of the label; nil stands for `$GEFS_BRANCH`, else `main`.
    var branch: [UInt8]?
    /// Elements below the root, without empty ones and `.`; `..` is resolved.
    var elements: [[UInt8]]
    /// The text ended in a slash.
    var requiresDirectory: Bool
    /// As the user wrote it, safe to show.
    var shown: String

    /// The branch of targets that name none. Source: CLI.md, "Verbs".
    static let standardBranch: [UInt8] = {
        guard let name = Environment["GEFS_BRANCH"], !name.isEmpty else {
            return Array("main".utf8)
        }
        return Array(name.utf8)
    }()

    var branchName: [UInt8] { branch ?? Self.standardBranch }
    var isRoot: Bool { elements.isEmpty }
    var name: [UInt8]? { elements.last }

    init(_ text: String) {
        let bytes = ByteText.bytes(of: text)
        var path = bytes[...]
        if let colon = Self.branchEnd(in: bytes) {
            if colon > 0 { branch = Array(bytes[..<colon]) }
            path = bytes[(colon + 1)...]
        }
        elements = []
        for element in path.split(separator: UInt8(ascii: "/")) {
            if element.elementsEqual(".".utf8) { continue }
            if element.elementsEqual("..".utf8) {
                if !elements.isEmpty { elements.removeLast() }
                continue
            }
            elements.append(Array(element))
        }
        requiresDirectory = path.last == UInt8(ascii: "/") || elements.isEmpty
        shown = ByteText.shown(bytes)
    }

    private init(branch: [UInt8]?, elements: [[UInt8]]) {
        self.branch = branch
        self.elements = elements
        requiresDirectory = elements.isEmpty
        shown = ""
        shown = ByteText.shown(bytes)
    }

    /// The root of a branch.
    init(branch: [UInt8]) {
        self.init(branch: branch, elements: [])
    }

    /// Index of the colon that ends a branch, nil where the text has none.
    static func branchEnd(in bytes: [UInt8]) -> Int? {
        bytes.indices.dropLast().first {
            bytes[$0] == UInt8(ascii: ":") && bytes[$0 + 1] == UInt8(ascii: "/")
        }
    }

    /// The target as the user would write it. A path that looks as if it began with a branch has the
    /// colon of one in front.
    var bytes: [UInt8] {
        let path = pathBytes
        if let branch { return branch + [UInt8(ascii: ":")] + path }
        return Self.branchEnd(in: path) == nil ? path : [UInt8(ascii: ":")] + path
    }

    /// The path from the root, with a slash in front.
    var pathBytes: [UInt8] {
        if elements.isEmpty { return [UInt8(ascii: "/")] }
        return elements.flatMap { [UInt8(ascii: "/")] + $0 }
    }

    var parent: TargetPath {
        TargetPath(branch: branch, elements: elements.dropLast())
    }

    func appending(_ name: [UInt8]) -> TargetPath {
        TargetPath(branch: branch, elements: elements + [name])
    }

    /// Whether this is the other place or lies below it.
    func isInside(_ other: TargetPath) -> Bool {
        branchName == other.branchName && elements.starts(with: other.elements)
    }
}
