import GefsEngine
import GefsFormat

/// What a tree must look like: paths and contents; on volumes with the feature `posix` also which
/// names are the same file, and extended attributes. Nothing else.
package struct FileModel: Equatable {
    package enum Item: Equatable {
        case directory
        case file([UInt8])
    }

    /// By path without a leading slash; the root is not in it.
    package var items: [String: Item] = [:]
    /// The names of files that have several.
    package var links: Set<Set<String>> = []
    /// Extended attributes by path, where there are any.
    package var attributes: [String: [String: [UInt8]]] = [:]

    package var directories: [String] {
        [""] + items.keys.filter { items[$0] == .directory }.sorted()
    }

    package var files: [String] {
        items.keys.filter { if case .file = items[$0] { true } else { false } }.sorted()
    }

    package func children(_ path: String) -> [String] {
        items.keys.filter { PathText.split($0).parent == path }
            .map { PathText.split($0).name }
            .sorted { ($0.utf8.count, $0) < ($1.utf8.count, $1) }
    }

    /// All names of the file that has this one.
    package func names(_ path: String) -> Set<String> {
        links.first { $0.contains(path) } ?? [path]
    }

    /// Gives a file one more name.
    package mutating func link(_ path: String, _ new: String) {
        let names = names(path)
        items[new] = items[path]
        attributes[new] = attributes[path]
        links.remove(names)
        links.insert(names.union([new]))
    }

    /// Takes a name away.
    package mutating func remove(_ path: String) {
        let names = names(path)
        links.remove(names)
        if names.count > 2 { links.insert(names.subtracting([path])) }
        items[path] = nil
        attributes[path] = nil
    }

    /// Sets an extended attribute, or removes it.
    package mutating func setAttribute(_ name: String, of path: String, to value: [UInt8]?) {
        for path in names(path) {
            attributes[path, default: [:]][name] = value
            if attributes[path]?.isEmpty ?? false { attributes[path] = nil }
        }
    }

    /// Moves a file, or a directory with all that is in it.
    package mutating func rename(_ path: String, to name: String) {
        let parent = PathText.split(path).parent
        move(path, to: parent.isEmpty ? name : parent + "/" + name)
    }

    /// Moves a file, or a directory with all that is in it, to a path where nothing is.
    package mutating func move(_ path: String, to target: String) {
        mapPaths { Self.moved($0, path, target) }
    }

    /// Lets two paths change places, neither of which lies in the other.
    package mutating func exchange(_ left: String, _ right: String) {
        mapPaths { path in
            let moved = Self.moved(path, left, right)
            return moved == path ? Self.moved(path, right, left) : moved
        }
    }

    private static func moved(_ path: String, _ from: String, _ to: String) -> String {
        path == from || path.hasPrefix(from + "/") ? to + path.dropFirst(from.count) : path
    }

    private mutating func mapPaths(_ map: (String) -> String) {
        items = Dictionary(uniqueKeysWithValues: items.map { (map($0.key), $0.value) })
        attributes = Dictionary(
            uniqueKeysWithValues: attributes.map { (map($0.key), $0.value) })
        links = Set(links.map { Set($0.map(map)) })
    }

    package mutating func write(_ path: String, _ bytes: [UInt8], at offset: Int) {
        guard case .file(var content) = items[path] else { return }
        if content.count < offset + bytes.count {
            content += [UInt8](repeating: 0, count: offset + bytes.count - content.count)
        }
        content.replaceSubrange(offset..<(offset + bytes.count), with: bytes)
        for name in names(path) { items[name] = .file(content) }
    }

    package mutating func setLength(_ path: String, _ length: Int) {
        guard case .file(var content) = items[path] else { return }
        if length < content.count {
            content.removeLast(content.count - length)
        } else {
            content += [UInt8](repeating: 0, count: length - content.count)
        }
        for name in names(path) { items[name] = .file(content) }
    }

    /// The tree that a volume serves.
    package init(of volume: some VolumeUser) throws {
        var numbers: [UInt64: Set<String>] = [:]
        try load(volume, "", &numbers)
        links = Set(numbers.values.filter { $0.count > 1 })
        guard volume.fileSystem.isPosix else { return }
        for (_, names) in numbers {
            for path in names where try volume.linkCount(path) != names.count {
                throw ModelError.differs(path: path)
            }
        }
    }

    package init() {}

    private mutating func load(
        _ volume: some VolumeUser, _ path: String, _ numbers: inout [UInt64: Set<String>]
    ) throws {
        for name in try volume.list(path, bytesPerCall: 700) {
            let child = path.isEmpty ? name : path + "/" + name
            let status = try volume.status(child)
            if volume.fileSystem.isPosix {
                let found = try volume.attributes(child)
                if !found.isEmpty { attributes[child] = found }
            }
            if status.mode & ModeBits.directory != 0 {
                items[child] = .directory
                try load(volume, child, &numbers)
            } else {
                items[child] = .file(try volume.read(child))
                numbers[status.qid.path, default: []].insert(child)
            }
        }
    }

    /// The first difference, in words; nil where there is none.
    package func difference(from other: FileModel) -> String? {
        for (path, item) in items.sorted(by: { $0.key < $1.key }) {
            guard let found = other.items[path] else { return "\(path) is missing" }
            if found == item { continue }
            guard case .file(let mine) = item, case .file(let theirs) = found else {
                return "\(path) is of another kind"
            }
            if mine.count != theirs.count {
                return "\(path) has \(theirs.count) bytes, not \(mine.count)"
            }
            let index = zip(mine, theirs).enumerated().first { $0.element.0 != $0.element.1 }
            return "\(path) differs at byte \(index?.offset ?? -1)"
        }
        if let path = other.items.keys.sorted().first(where: { items[$0] == nil }) {
            return "\(path) is too much"
        }
        for path in items.keys.sorted() {
            if attributes[path] != other.attributes[path] { return "\(path) has other attributes" }
            let names = (names(path), other.names(path))
            if names.0 != names.1 {
                return "\(path) has the names \(names.1.sorted()), not \(names.0.sorted())"
            }
        }
        return nil
    }
}
