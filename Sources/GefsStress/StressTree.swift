/// What one label must hold: paths with the contents of files. Copies are cheap until one changes.
struct StressTree: Equatable {
    /// Nil for a directory.
    typealias Content = [UInt8]?

    private(set) var contents: [String: Content] = [:]
    /// Names in each directory; the root is the empty path.
    private(set) var children: [String: Int] = ["": 0]
    /// The keys of `contents` and the root, for picking by chance.
    private var files: [String] = []
    private var directories: [String] = [""]
    private var places: [String: Int] = ["": 0]

    static func == (left: StressTree, right: StressTree) -> Bool {
        left.contents == right.contents
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

    mutating func remove(_ path: String) {
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
    func difference(from found: [String: Content]) -> String? {
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
        return found.keys.sorted().first { contents[$0] == nil }.map { "\($0) is too much" }
    }
}
