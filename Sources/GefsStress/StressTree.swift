/// What one label must hold: paths with the contents of files. Copies are cheap until one changes.
struct StressTree: Equatable {
    /// Nil for a directory.
    typealias Content = [UInt8]?

    private(set) var contents: [String: Content] = [:]
    /// The one extended attribute of a file, where it has it.
    private(set) var attributes: [String: [UInt8]] = [:]
    /// Names in each directory; the root is the empty path.
    private(set) var children: [String: Int] = ["": 0]
    /// The keys of `contents` and the root, for picking by chance.
    private var files: [String] = []
    private var directories: [String] = [""]
    private var places: [String: Int] = ["": 0]

    static func == (left: StressTree, right: StressTree) -> Bool {
        left.contents == right.contents && left.attributes == right.attributes
    }

    var fileCount: Int { files.count }

    static func parent(_ path: String) -> String {
        path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ""
    }

    func randomFile(_ generator: inout some RandomNumberGenerator) -> String? {
        files.randomElement(using: &generator)
    }

    func randomDirectory(_ generator: inout some RandomNumberGenerator) -> String {
        directories.randomElement(using: &generator) ?? ""
    }

    /// The directory that was made last: the deepest one, where each is made in the last.
    var newestDirectory: String { directories.last ?? "" }

    func isEmpty(_ directory: String) -> Bool { children[directory, default: 0] == 0 }

    mutating func set(_ path: String, _ content: Content) {
        if contents.updateValue(content, forKey: path) != nil { return }
        children[Self.parent(path), default: 0] += 1
        if content == nil {
            places[path] = directories.count
            directories.append(path)
            children[path] = 0
        } else {
            places[path] = files.count
            files.append(path)
        }
    }

    mutating func setAttribute(_ value: [UInt8]?, of path: String) { attributes[path] = value }

    /// Gives a file another name.
    mutating func move(_ path: String, to other: String) {
        guard let content = contents[path] else { return }
        let attribute = attributes[path]
        remove(path)
        set(other, content)
        attributes[other] = attribute
    }

    mutating func remove(_ path: String) {
        attributes[path] = nil
        guard let content = contents.removeValue(forKey: path),
            let place = places.removeValue(forKey: path)
        else { return }
        children[Self.parent(path), default: 1] -= 1
        if content == nil {
            children[path] = nil
            Self.take(place, from: &directories, &places)
        } else {
            Self.take(place, from: &files, &places)
        }
    }

    private static func take(
        _ place: Int, from list: inout [String], _ places: inout [String: Int]
    ) {
        let last = list.removeLast()
        guard place < list.count else { return }
        list[place] = last
        places[last] = place
    }

    /// The first difference, in words; nil where there is none.
    func difference(from other: StressTree) -> String? {
        let found = other.contents
        for (path, content) in contents.sorted(by: { $0.key < $1.key }) {
            guard let other = found[path] else { return "\(path) is missing" }
            if other == content { continue }
            guard let mine = content, let theirs = other else {
                return "\(path) is of another kind"
            }
            if mine.count != theirs.count {
                return "\(path) has \(theirs.count) bytes, not \(mine.count)"
            }
            let index = zip(mine, theirs).enumerated().first { $0.element.0 != $0.element.1 }
            return "\(path) differs at byte \(index?.offset ?? -1)"
        }
        if let more = found.keys.sorted().first(where: { contents[$0] == nil }) {
            return "\(more) is too much"
        }
        return Set(attributes.keys).union(other.attributes.keys).sorted()
            .first { attributes[$0] != other.attributes[$0] }
            .map { "\($0) has another attribute" }
    }
}
