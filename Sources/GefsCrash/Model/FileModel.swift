import GefsEngine
import GefsFormat

/// What a tree must look like: paths, contents, nothing else.
package struct FileModel: Equatable {
    package enum Item: Equatable {
        case directory
        case file([UInt8])
    }

    /// By path without a leading slash; the root is not in it.
    package var items: [String: Item] = [:]

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

    /// Moves a file, or a directory with all that is in it.
    package mutating func rename(_ path: String, to name: String) {
        let parent = PathText.split(path).parent
        let target = parent.isEmpty ? name : parent + "/" + name
        for key in items.keys where key == path || key.hasPrefix(path + "/") {
            items[target + key.dropFirst(path.count)] = items.removeValue(forKey: key)
        }
    }

    package mutating func write(_ path: String, _ bytes: [UInt8], at offset: Int) {
        guard case .file(var content) = items[path] else { return }
        if content.count < offset + bytes.count {
            content += [UInt8](repeating: 0, count: offset + bytes.count - content.count)
        }
        content.replaceSubrange(offset..<(offset + bytes.count), with: bytes)
        items[path] = .file(content)
    }

    package mutating func setLength(_ path: String, _ length: Int) {
        guard case .file(var content) = items[path] else { return }
        if length < content.count {
            content.removeLast(content.count - length)
        } else {
            content += [UInt8](repeating: 0, count: length - content.count)
        }
        items[path] = .file(content)
    }

    /// The tree that a volume serves.
    package init(of volume: some VolumeUser) throws {
        try load(volume, "")
    }

    package init() {}

    private mutating func load(_ volume: some VolumeUser, _ path: String) throws {
        for name in try volume.list(path, bytesPerCall: 700) {
            let child = path.isEmpty ? name : path + "/" + name
            if try volume.status(child).mode & ModeBits.directory != 0 {
                items[child] = .directory
                try load(volume, child)
            } else {
                items[child] = .file(try volume.read(child))
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
        return other.items.keys.sorted().first { items[$0] == nil }.map { "\($0) is too much" }
    }
}
