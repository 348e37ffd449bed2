import GefsEngine
import GefsFormat

/// A volume with files, snapshots and forks that a seed decides.
struct TrialVolume {
    /// The volume, closed.
    let image: MemoryImage
    /// The same some commits before: what writes that got lost leave.
    let earlier: MemoryImage

    private static let caller = Caller(
        user: UserID(rawValue: 1), isPermissive: true)

    init(seed: UInt64, features: FormatFeatures = []) throws {
        var random = SeededGenerator(seed: seed)
        let memory = MemoryDevice(byteCount: Ream.deviceBytesMin)
        try Ream.run(device: memory, user: "glenda", features: features)
        var options = VolumeOptions()
        options.commitIntervalNanoseconds = nil
        options.cacheBytes = 32 << 20
        let fileSystem = try FileSystem.open(memory, options: options)
        var earlier = memory.image
        var labels = ["main"]
        var paths: [String: [String]] = ["main": []]
        var directories: [String: [String]] = ["main": [""]]
        let rounds = 5 + Int.random(in: 0..<4, using: &random)
        for round in 0..<rounds {
            let label = labels.randomElement(using: &random) ?? "main"
            for number in 0..<Int.random(in: 40..<240, using: &random) {
                try Self.change(
                    fileSystem, label, &paths, &directories, "\(round)-\(number)", &random)
            }
            if round == rounds - 2 { earlier = memory.image }
            try fileSystem.sync(as: Self.caller)
            let name = "state\(round)"
            switch Int.random(in: 0..<4, using: &random) {
            case 0:
                try fileSystem.change(
                    [.fork(of: Array(label.utf8), as: Array(name.utf8))], as: Self.caller)
                labels.append(name)
                paths[name] = paths[label]
                directories[name] = directories[label]
            case 3 where round > 3:
                // A hole in a line: lists are joined.
                try? fileSystem.change([.delete(Array("state1".utf8))], as: Self.caller)
                if labels.contains("state1") { labels.removeAll { $0 == "state1" } }
            default:
                try fileSystem.change(
                    [.snapshot(of: Array(label.utf8), as: Array(name.utf8))], as: Self.caller)
            }
        }
        try fileSystem.drainHistory()
        fileSystem.drainReclaims()
        try fileSystem.close()
        image = memory.image
        self.earlier = earlier
    }

    private static func change(
        _ fileSystem: FileSystem, _ label: String, _ paths: inout [String: [String]],
        _ directories: inout [String: [String]], _ name: String,
        _ random: inout SeededGenerator
    ) throws {
        let directory = directories[label]?.randomElement(using: &random) ?? ""
        let old = paths[label]?.randomElement(using: &random)
        if fileSystem.isPosix, let old, Int.random(in: 0..<3, using: &random) == 0 {
            let path = "\(directory)/l\(name)"
            let isLinked = try changePosix(fileSystem, label, old, in: directory, path, &random)
            if isLinked { paths[label]?.append(path) }
            return
        }
        switch Int.random(in: 0..<12, using: &random) {
        case 0:
            let handle = try fileSystem.walk(directory, in: label, as: caller)
            defer { fileSystem.close(handle) }
            try Array("d\(name)".utf8).withUnsafeBytes { bytes in
                try fileSystem.create(
                    in: handle, name: bytes, mode: ModeBits.directory | 0o755, OpenMode(.read),
                    as: caller)
            }
            directories[label]?.append("\(directory)/d\(name)")
        case 1, 2:
            guard let old else { return }
            try fileSystem.write(contents(&random), to: old, in: label, as: caller)
        case 3:
            guard let old, let place = paths[label]?.firstIndex(of: old) else { return }
            let handle = try fileSystem.walk(old, in: label, as: caller)
            defer { fileSystem.close(handle) }
            try fileSystem.remove(handle, as: caller)
            paths[label]?.remove(at: place)
        default:
            let long = String(repeating: "x", count: Int.random(in: 0..<120, using: &random))
            let path = "\(directory)/f\(name)\(long)"
            try fileSystem.write(contents(&random), to: path, in: label, as: caller)
            paths[label]?.append(path)
        }
    }

    /// Gives a file one more name, or an extended attribute.
    private static func changePosix(
        _ fileSystem: FileSystem, _ label: String, _ old: String, in directory: String,
        _ path: String, _ random: inout SeededGenerator
    ) throws -> Bool {
        let file = try fileSystem.walk(old, in: label, as: caller)
        defer { fileSystem.close(file) }
        guard Bool.random(using: &random) else {
            let name = Array("user.\(Int.random(in: 0..<3, using: &random))".utf8)
            let value = contents(&random).prefix(1300)
            _ = try fileSystem.setAttribute(name, of: file, to: Array(value), as: caller)
            return false
        }
        let parent = try fileSystem.walk(directory, in: label, as: caller)
        defer { fileSystem.close(parent) }
        let name = Array(path.utf8.suffix(path.utf8.count - directory.utf8.count - 1))
        let (link, _) = try name.withUnsafeBytes {
            try fileSystem.link(file, to: $0, in: parent, as: caller)
        }
        fileSystem.close(link)
        return true
    }

    private static func contents(_ random: inout SeededGenerator) -> [UInt8] {
        let count: Int
        switch Int.random(in: 0..<8, using: &random) {
        case 0: count = Int.random(in: 30_000..<200_000, using: &random)
        case 1, 2: count = 0
        default: count = Int.random(in: 1..<9_000, using: &random)
        }
        let byte = UInt8.random(in: 0...255, using: &random)
        return (0..<count).map { byte &+ UInt8(truncatingIfNeeded: $0 &* 7) }
    }
}
