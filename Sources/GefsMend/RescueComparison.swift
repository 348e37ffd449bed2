import GefsEngine
import GefsFormat

/// What `Rescue` gets out of an image that cannot be repaired, held against what was there.
struct RescueComparison {
    /// Files that came out as they were, in all labels.
    private(set) var keptFiles = 0
    /// Files that did not, and depended on damaged blocks.
    private(set) var lostFiles = 0
    /// What did not, although it depended on nothing that was damaged.
    private(set) var faults: [String] = []

    private let map: ImageMap
    /// Sound blocks of data by hash.
    private let blocks: [UInt64: UInt64]

    /// - Parameters:
    ///   - map: what was there.
    ///   - image: the damaged image.
    init(_ map: ImageMap, _ image: MemoryImage, _ damage: TrialDamage) {
        self.map = map
        blocks = Dictionary(
            (map.blocks[.data] ?? []).map { address in
                let block = map.image.bytes(at: address, count: Geometry.blockBytes)
                return (block.withUnsafeBytes { MetroHash64.hash($0) }, address)
            }, uniquingKeysWith: { first, _ in first })
        var rescued: [String: [String: [UInt8]]] = [:]
        do throws(RescueError) {
            let rescue = try Rescue(MemoryDevice(image))
            for tree in rescue.trees {
                let sink = ContentSink()
                _ = try rescue.copy(tree.name, to: sink)
                rescued[String(decoding: tree.name, as: UTF8.self)] = sink.files
            }
        } catch {
            faults.append("cannot be rescued: \(error)")
            return
        }
        let unreadable = damage.damaged.union(damage.flipped)
        for (label, files) in map.files {
            // A tree may be found without its label, or without the label of the last commit.
            let trees = (rescued[label].map { [$0] } ?? []) + rescued.values
            for (path, file) in files where !file.isDirectory {
                let expected = contents(of: file)
                // The root has no name.
                let name = String(path.dropFirst())
                if trees.contains(where: { $0[name] == expected }) {
                    keptFiles += 1
                } else {
                    lostFiles += 1
                    if file.needs.union(file.needsAbove).isDisjoint(with: unreadable) {
                        faults.append("\(label): \(path) is not rescued")
                    }
                }
            }
        }
    }

    private func contents(of file: ImageMap.File) -> [UInt8]? {
        guard let entry = file.entry.withUnsafeBytes({ try? DirectoryEntry(decoding: $0) }) else {
            return nil
        }
        var bytes = [UInt8](repeating: 0, count: Int(entry.length))
        for (offset, hash) in file.extents where offset < UInt64(bytes.count) {
            guard let address = blocks[hash] else { return nil }
            let count = min(Geometry.blockBytes, bytes.count - Int(offset))
            bytes.replaceSubrange(
                Int(offset)..<Int(offset) + count, with: map.image.bytes(at: address, count: count))
        }
        return bytes
    }
}

/// Contents of files in memory, by path.
private final class ContentSink: RescueSink {
    private(set) var files: [String: [UInt8]] = [:]
    private var names: Set<String> = []

    private func take(_ name: [UInt8], _ parent: [[UInt8]]) -> (name: [UInt8], path: String) {
        var candidate = name
        var path = Self.path(parent + [candidate])
        var attempt = 2
        while !names.insert(path).inserted {
            candidate = name + Array("~\(attempt)".utf8)
            path = Self.path(parent + [candidate])
            attempt += 1
        }
        return (candidate, path)
    }

    private static func path(_ names: [[UInt8]]) -> String {
        names.map { String(decoding: $0, as: UTF8.self) }.joined(separator: "/")
    }

    func makeDirectory(_ name: [UInt8], in parent: [[UInt8]]) throws(RescueError) -> [UInt8] {
        take(name, parent).name
    }

    func makeFile(
        _ name: [UInt8], in parent: [[UInt8]]
    ) throws(RescueError) -> (file: any RescuedFileSink, name: [UInt8]) {
        let (name, path) = take(name, parent)
        return (File(self, path), name)
    }

    func finishDirectory(_ path: [[UInt8]], mode: UInt32, time: Int64) throws(RescueError) {}

    private final class File: RescuedFileSink {
        private let sink: ContentSink
        private let path: String
        private var bytes: [UInt8] = []

        init(_ sink: ContentSink, _ path: String) {
            self.sink = sink
            self.path = path
        }

        private func grow(to count: Int) {
            if bytes.count < count {
                bytes += [UInt8](repeating: 0, count: count - bytes.count)
            }
        }

        func write(_ part: UnsafeRawBufferPointer, at offset: UInt64) throws(RescueError) {
            grow(to: Int(offset) + part.count)
            bytes.replaceSubrange(Int(offset)..<Int(offset) + part.count, with: part)
        }

        func finish(length: UInt64, mode: UInt32, time: Int64) throws(RescueError) {
            guard length < 1 << 30 else { throw .refused(why: "too large") }
            grow(to: Int(length))
            sink.files[path] = bytes
        }

        func abandon() {
            sink.files[path] = nil
        }
    }
}
