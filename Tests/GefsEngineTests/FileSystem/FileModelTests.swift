import GefsFormat
import Testing

@testable import GefsEngine

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Random operations on a volume and on a model of it.
struct RandomWorkload {
    var generator: SeededGenerator
    var model = FileModel()
    private var nextName = 0

    init(seed: UInt64) {
        generator = SeededGenerator(seed: seed)
    }

    /// `GEFS_SEED` replays one run.
    static func seeds(_ defaults: [UInt64]) -> [UInt64] {
        if let text = getenv("GEFS_SEED"), let seed = UInt64(String(cString: text)) {
            return [seed]
        }
        return defaults
    }

    private mutating func pick<T>(_ items: [T]) -> T? {
        items.randomElement(using: &generator)
    }

    private mutating func bytes(_ count: Int) -> [UInt8] {
        let salt = generator.next()
        return (0..<count).map { UInt8(truncatingIfNeeded: UInt64($0) &* 0x9E37_79B9 &+ salt) }
    }

    private mutating func newPath(in directory: String) -> String {
        nextName += 1
        let padding = String(repeating: "x", count: Int.random(in: 0...30, using: &generator))
        let name = "n\(nextName)\(padding)"
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
    mutating func step(_ volume: TestVolume) throws {
        switch Int.random(in: 0..<20, using: &generator) {
        case 0..<5:
            guard let directory = pick(model.directories) else { return }
            let path = newPath(in: directory)
            try volume.makeFile(path)
            model.items[path] = .file([])
        case 5:
            guard let directory = pick(model.directories) else { return }
            let path = newPath(in: directory)
            try volume.makeDirectory(path)
            model.items[path] = .directory
        case 6..<13:
            guard let path = pick(model.files) else { return }
            let content = bytes(Int.random(in: 1...40_000, using: &generator))
            let position = offset(below: 200_000)
            try volume.write(path, content, at: UInt64(position))
            model.write(path, content, at: position)
        case 13..<15:
            guard let path = pick(model.files) else { return }
            let length = offset(below: 150_000)
            try volume.change(path) { $0.length = UInt64(length) }
            model.setLength(path, length)
        case 15..<17:
            guard let path = pick(model.files) else { return }
            try volume.remove(path)
            model.items[path] = nil
        case 17:
            let empty = model.directories.filter { !$0.isEmpty && model.children($0).isEmpty }
            guard let path = pick(empty) else { return }
            try volume.remove(path)
            model.items[path] = nil
        case 18:
            guard let path = pick(Array(model.items.keys.sorted())) else { return }
            nextName += 1
            let name = "r\(nextName)"
            try volume.change(path) { $0.name = Array(name.utf8) }
            model.rename(path, to: name)
        default:
            guard let path = pick(model.files), case .file(let content)? = model.items[path]
            else { return }
            let isEqual = try volume.read(path) == content
            #expect(isEqual, "\(path)")
        }
    }
}

@Suite
struct FileModelTests {
    @Test(arguments: RandomWorkload.seeds([1, 2, 3, 4]))
    func `random operations leave what a model says, through commits and reopening`(
        seed: UInt64
    ) throws {
        print("seed \(seed)")
        let volume = try TestVolume()
        var workload = RandomWorkload(seed: seed)
        for round in 0..<12 {
            for _ in 0..<120 { try workload.step(volume) }
            if round % 2 == 0 { try volume.sync() }
            let found = try FileModel(of: volume)
            try #require(workload.model.difference(from: found) == nil, "seed \(seed), \(round)")
            if round % 4 == 3 {
                try volume.reopen()
                let again = try FileModel(of: volume)
                try #require(
                    workload.model.difference(from: again) == nil, "reopened, seed \(seed)")
            }
        }
        try volume.fileSystem.close()
        try expectClean(volume.device.image())
    }

    @Test(arguments: RandomWorkload.seeds([11, 12, 13]))
    func `after a power cut the tree is that of an instant since the last sync`(
        seed: UInt64
    ) throws {
        print("seed \(seed)")
        var options = TestVolume.options
        options.flushBytes = 1 << 20
        let volume = try TestVolume(options: options)
        var workload = RandomWorkload(seed: seed)
        for _ in 0..<150 { try workload.step(volume) }
        try volume.sync()
        try volume.device.startRecording()
        var states = [workload.model]
        var generator = SeededGenerator(seed: seed)
        for round in 0..<6 {
            for _ in 0..<25 {
                try workload.step(volume)
                states.append(workload.model)
            }
            let before = volume.device.events.count
            if round % 2 == 1 { try volume.sync() }
            let after = volume.device.events.count
            for count in Set(
                [before, after]
                    + (0..<4).map { _ in
                        Int.random(in: 0...after, using: &generator)
                    })
            {
                let image = volume.device.crashImage(after: count, seed: generator.next())
                let survivor = try TestVolume(image: image)
                let found = try FileModel(of: survivor)
                let isKnown = states.contains(found)
                #expect(isKnown, "seed \(seed): cut after \(count) of \(after)")
                try survivor.fileSystem.close()
                try expectClean(survivor.device.image())
            }
        }
    }

    /// No errors, and no leaked block, by our own checker.
    private func expectClean(_ image: MemoryImage) throws {
        #expect(try VolumeCheck.leaks(image) == 0)
    }
}
