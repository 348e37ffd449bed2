import GefsEngine
import GefsFormat

/// Images to be damaged: made by workloads that leave every kind of block behind.
package enum TrialImages {
    /// What the images are for, by name.
    package static let names = ["small", "history", "tree", "lists", "labels", "fresh"]

    /// A freshly made image on which the named workload has run.
    package static func make(_ name: String, seed: UInt64) throws -> MemoryImage {
        var workload = try Workload(seed: seed)
        switch name {
        case "history": try workload.mixed(rounds: 60, files: 40)
        case "tree": try workload.manyFiles(900)
        case "lists": try workload.longLists()
        case "labels": try workload.manyLabels(120)
        case "fresh": break
        default: try workload.mixed(rounds: 8, files: 12)
        }
        try workload.fileSystem.close()
        return workload.device.image
    }

    private struct Workload {
        let device: MemoryDevice
        let fileSystem: FileSystem
        var random: SampleRandom
        private var branches = ["main"]
        private var snapshots: [String] = []
        private let caller = TreeComparison.caller
        private var labelCount = 0

        init(seed: UInt64) throws {
            device = MemoryDevice(byteCount: Ream.deviceBytesMin)
            random = SampleRandom(seed: seed)
            try Ream.run(device: device, user: "glenda")
            fileSystem = try FileSystem.open(
                device, options: DamageTrial.options(isReadOnly: false))
        }

        private mutating func bytes(_ count: Int) -> [UInt8] {
            let start = random.next()
            return (0..<count).map {
                UInt8(truncatingIfNeeded: (start &+ UInt64($0)) &* 0x9e37 >> 7)
            }
        }

        private mutating func pick(_ names: [String]) -> String { names[random.below(names.count)] }

        mutating func mixed(rounds: Int, files: Int) throws {
            for _ in 0..<rounds {
                let branch = pick(branches)
                for _ in 0..<6 { try changeFile(files, branch) }
                labelCount += 1
                switch random.below(7) {
                case 0, 1:
                    let name = "snap\(labelCount)"
                    try change(.snapshot(of: Array(branch.utf8), as: Array(name.utf8)))
                    snapshots.append(name)
                case 2 where branches.count < 4:
                    let name = "fork\(labelCount)"
                    try change(.fork(of: Array(branch.utf8), as: Array(name.utf8)))
                    branches.append(name)
                case 3 where snapshots.count > 3:
                    let name = snapshots.remove(at: random.below(snapshots.count))
                    try change(.delete(Array(name.utf8)))
                default:
                    try fileSystem.sync(as: caller)
                }
            }
        }

        private func change(_ change: HistoryChange) throws {
            try fileSystem.change([change], as: caller)
        }

        private mutating func changeFile(_ files: Int, _ branch: String) throws {
            // What the reclaimer does in its own time shall not make one image of two.
            defer { fileSystem.drainReclaims() }
            let path = "file\(random.below(files))"
            switch random.below(6) {
            case 0:
                do throws(FileError) {
                    let handle = try fileSystem.walk(path, in: branch, as: caller)
                    try fileSystem.remove(handle, as: caller)
                } catch .notFound {
                }
            case 1:
                do throws(FileError) {
                    // A hole behind what is there.
                    let handle = try fileSystem.walk(path, in: branch, as: caller)
                    defer { fileSystem.close(handle) }
                    try fileSystem.open(handle, OpenMode(.write), as: caller)
                    let part = bytes(3000)
                    _ = try part.withBytesForReading { (part) throws(FileError) in
                        try fileSystem.write(
                            handle, at: UInt64(random.below(200_000)), from: part, as: caller)
                    }
                } catch .notFound {
                }
            default:
                let count = random.below(4) == 0 ? random.below(150_000) : random.below(9000)
                try fileSystem.write(bytes(count), to: path, in: branch, as: caller)
            }
        }

        /// Files with long names in directories, until trees have several levels.
        mutating func manyFiles(_ count: Int) throws {
            for folder in 0..<6 {
                let handle = try fileSystem.walk("", as: caller)
                defer { fileSystem.close(handle) }
                try Array("folder\(folder)".utf8).withBytesForReading { (name) throws(FileError) in
                    try fileSystem.create(
                        in: handle, name: name, mode: ModeBits.directory | 0o755, OpenMode(.read),
                        as: caller)
                }
            }
            let filler = String(repeating: "n", count: 90)
            for index in 0..<count {
                let path = "folder\(index % 6)/\(filler)\(index)"
                try fileSystem.write(bytes(random.below(200)), to: path, as: caller)
                if index % 150 == 149 {
                    labelCount += 1
                    try change(
                        .snapshot(of: Array("main".utf8), as: Array("snap\(labelCount)".utf8)))
                }
            }
            for _ in 0..<60 {
                let path = "folder\(random.below(6))/\(filler)\(random.below(count))"
                do throws(FileError) {
                    let handle = try fileSystem.walk(path, as: caller)
                    try fileSystem.remove(handle, as: caller)
                } catch .notFound {
                }
                try fileSystem.sync(as: caller)
            }
        }

        /// Deadlists and pending lists of more than one block.
        mutating func longLists() throws {
            let size = 2300 * Geometry.blockBytes
            try fileSystem.write(bytes(size), to: "big", as: caller)
            try change(.snapshot(of: Array("main".utf8), as: Array("before".utf8)))
            try fileSystem.write(bytes(1000), to: "big", as: caller)
            fileSystem.drainReclaims()
            try change(.snapshot(of: Array("main".utf8), as: Array("after".utf8)))
            try fileSystem.write(bytes(size), to: "other", as: caller)
            try fileSystem.sync(as: caller)
            try fileSystem.write(bytes(10), to: "other", as: caller)
            fileSystem.drainReclaims()
            try mixed(rounds: 4, files: 10)
        }

        /// A snapshot tree of several levels.
        mutating func manyLabels(_ count: Int) throws {
            for index in 0..<count {
                try changeFile(5, "main")
                let name = "label-\(index)-" + String(repeating: "x", count: 60)
                try change(.snapshot(of: Array("main".utf8), as: Array(name.utf8)))
            }
        }
    }

    /// The image in a file; what is zero takes no memory.
    package static func load(_ path: String) throws -> MemoryImage {
        let file = try FileDevice(path: path, access: .readOnly)
        defer { file.close() }
        var image = MemoryImage(byteCount: file.byteCount)
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        var offset: UInt64 = 0
        while offset < file.byteCount {
            let count = Int(min(UInt64(buffer.count), file.byteCount - offset))
            try buffer.withUnsafeMutableBytes {
                let part = UnsafeMutableRawBufferPointer(rebasing: $0[..<count])
                try file.read(at: offset, into: part)
                image.write(UnsafeRawBufferPointer(part), at: offset)
            }
            offset += UInt64(count)
        }
        return image
    }
}
