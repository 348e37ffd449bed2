import GefsEngine
import GefsFormat

/// Random operations on a volume and on a model of it.
package struct RandomWorkload {
    package var generator: SeededGenerator
    package var model = FileModel()
    /// Bytes that one write writes at most.
    package var bytesPerWriteMax = 40_000
    /// Where a write begins at most; truncations reach three quarters of it.
    package var offsetMax = 200_000
    private var nextName = 0
    /// What the names of new files begin with.
    package var namePrefix = "n"

    package init(seed: UInt64) {
        generator = SeededGenerator(seed: seed)
    }

    mutating func pick<T>(_ items: [T]) -> T? {
        items.randomElement(using: &generator)
    }

    package mutating func bytes(_ count: Int) -> [UInt8] {
        let salt = generator.next()
        return (0..<count).map { UInt8(truncatingIfNeeded: UInt64($0) &* 0x9E37_79B9 &+ salt) }
    }

    mutating func newPath(in directory: String) -> String {
        nextName += 1
        let padding = String(repeating: "x", count: Int.random(in: 0...30, using: &generator))
        let name = "\(namePrefix)\(nextName)\(padding)"
        return directory.isEmpty ? name : directory + "/" + name
    }

    /// Offsets around block edges are where things go wrong.
    private mutating func offset(below limit: Int) -> Int {
        let block = Geometry.blockBytes
        switch Int.random(in: 0..<4, using: &generator) {
        case 0: return Int.random(in: 0...limit, using: &generator)
        case 1: return min(limit, Int.random(in: 0...8, using: &generator) * block)
        case 2: return max(0, min(limit, Int.random(in: 1...8, using: &generator) * block - 1))
        default: return 0
        }
    }

    /// One operation on both.
    package mutating func step(_ volume: some VolumeUser) throws {
        if volume.fileSystem.isPosix, Int.random(in: 0..<2, using: &generator) == 0 {
            return try posixStep(volume)
        }
        switch Int.random(in: 0..<20, using: &generator) {
        case 0..<5:
            guard let directory = pick(model.directories) else { return }
            try makeFile(newPath(in: directory), on: volume)
        case 5:
            guard let directory = pick(model.directories) else { return }
            try makeDirectory(newPath(in: directory), on: volume)
        case 6..<13:
            guard let path = pick(model.files) else { return }
            let content = bytes(Int.random(in: 1...bytesPerWriteMax, using: &generator))
            try write(path, content, at: offset(below: offsetMax), on: volume)
        case 13..<15:
            guard let path = pick(model.files) else { return }
            try setLength(path, offset(below: offsetMax / 4 * 3), on: volume)
        case 15..<17:
            guard let path = pick(model.files) else { return }
            try remove(path, on: volume)
        case 17:
            let empty = model.directories.filter { !$0.isEmpty && model.children($0).isEmpty }
            guard let path = pick(empty) else { return }
            try remove(path, on: volume)
        case 18:
            guard let path = pick(Array(model.items.keys.sorted())) else { return }
            nextName += 1
            try rename(path, to: "r\(namePrefix)\(nextName)", on: volume)
        default:
            guard let path = pick(model.files), case .file(let content)? = model.items[path]
            else { return }
            guard try volume.read(path) == content else { throw ModelError.differs(path: path) }
        }
    }

    package mutating func makeFile(_ path: String, on volume: some VolumeUser) throws {
        try volume.makeFile(path)
        model.items[path] = .file([])
    }

    package mutating func makeDirectory(_ path: String, on volume: some VolumeUser) throws {
        try volume.makeDirectory(path)
        model.items[path] = .directory
    }

    package mutating func write(
        _ path: String, _ bytes: [UInt8], at offset: Int, on volume: some VolumeUser
    ) throws {
        try volume.write(path, bytes, at: UInt64(offset))
        model.write(path, bytes, at: offset)
    }

    package mutating func setLength(
        _ path: String, _ length: Int, on volume: some VolumeUser
    ) throws {
        try volume.change(path) { $0.length = UInt64(length) }
        model.setLength(path, length)
    }

    package mutating func remove(_ path: String, on volume: some VolumeUser) throws {
        try volume.remove(path)
        model.remove(path)
    }

    package mutating func rename(
        _ path: String, to name: String, on volume: some VolumeUser
    ) throws {
        try volume.change(path) { $0.name = Array(name.utf8) }
        model.rename(path, to: name)
    }
}
