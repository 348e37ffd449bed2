import GefsEngine
import GefsFormat

/// What only volumes with the feature `posix` can do.
extension RandomWorkload {
    /// One operation on both.
    mutating func posixStep(_ volume: some VolumeUser) throws {
        switch Int.random(in: 0..<13, using: &generator) {
        case 0..<3:
            // Files that have several names already get more of them.
            let linked = model.links.flatMap { $0 }.sorted()
            let isMore = Bool.random(using: &generator)
            guard let path = pick(isMore && !linked.isEmpty ? linked : model.files),
                let directory = pick(model.directories)
            else { return }
            try link(path, newPath(in: directory), on: volume)
        case 3..<5:
            guard let path = pick(model.links.flatMap { $0 }.sorted()) else { return }
            try remove(path, on: volume)
        case 5..<7:
            guard let path = pick(model.items.keys.sorted()),
                let directory = pick(model.directories), !Self.isInside(directory, path)
            else { return }
            try move(path, to: newPath(in: directory), on: volume)
        case 7:
            guard let path = pick(model.files), let target = pick(model.files) else { return }
            try replace(target, with: path, on: volume)
        case 8:
            guard let left = pick(model.items.keys.sorted()),
                let right = pick(model.items.keys.sorted()), !Self.isInside(left, right),
                !Self.isInside(right, left)
            else { return }
            try exchange(left, right, on: volume)
        case 9:
            guard let directory = pick(model.directories) else { return }
            let content = bytes(Int.random(in: 1...bytesPerWriteMax, using: &generator))
            let syncs = Bool.random(using: &generator)
            try makeNameless(newPath(in: directory), content, syncs: syncs, on: volume)
        default:
            guard let path = pick(model.items.keys.sorted()) else { return }
            let name = "user.\(Int.random(in: 0..<3, using: &generator))"
            if model.attributes[path]?[name] != nil, Bool.random(using: &generator) {
                try setAttribute(name, of: path, to: nil, on: volume)
            } else {
                let count = [0, 1, 30, 512, 513, 1024, 1500].randomElement(using: &generator)
                try setAttribute(name, of: path, to: bytes(count ?? 0), on: volume)
            }
        }
    }

    /// Whether a path is another one, or lies below it.
    private static func isInside(_ path: String, _ other: String) -> Bool {
        path == other || path.hasPrefix(other + "/")
    }

    package mutating func link(_ path: String, _ new: String, on volume: some VolumeUser) throws {
        try volume.link(path, new)
        model.link(path, new)
    }

    package mutating func makeNameless(
        _ path: String, _ content: [UInt8], syncs: Bool, on volume: some VolumeUser
    ) throws {
        let attributes = ["user.0": Array(content.prefix(600))]
        try volume.makeNameless(path, content, attributes) { if syncs { try volume.sync() } }
        model.items[path] = .file(content)
        for (name, value) in attributes { model.setAttribute(name, of: path, to: value) }
    }

    package mutating func move(
        _ path: String, to new: String, on volume: some VolumeUser
    ) throws {
        try volume.rename(path, to: new, .keep)
        model.move(path, to: new)
    }

    /// Gives a file the name of another one. Where that is the same file nothing happens.
    package mutating func replace(
        _ target: String, with path: String, on volume: some VolumeUser
    ) throws {
        try volume.rename(path, to: target, .replace)
        if model.names(path).contains(target) { return }
        model.remove(target)
        model.move(path, to: target)
    }

    package mutating func exchange(
        _ left: String, _ right: String, on volume: some VolumeUser
    ) throws {
        try volume.rename(left, to: right, .exchange)
        model.exchange(left, right)
    }

    package mutating func setAttribute(
        _ name: String, of path: String, to value: [UInt8]?, on volume: some VolumeUser
    ) throws {
        try volume.setAttribute(name, of: path, to: value)
        model.setAttribute(name, of: path, to: value)
    }
}
