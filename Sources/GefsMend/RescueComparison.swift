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
    ///   - damage: what was done to it, and the image.
    init(_ map: ImageMap, _ damage: TrialDamage) {
        self.map = map
        blocks = Dictionary(
            (map.blocks[.data] ?? []).map { address in
                let block = map.image.bytes(at: address, count: Geometry.blockBytes)
                return (block.withUnsafeBytes { MetroHash64.hash($0) }, address)
            }, uniquingKeysWith: { first, _ in first })
        // By tree and path. A tree may be found without its label, or with that of an earlier commit.
        var rescued: [[String: [UInt8]]] = []
        do throws(RescueError) {
            let rescue = try Rescue(MemoryDevice(damage.image))
            for tree in rescue.trees {
                let copy = try rescue.copied(String(decoding: tree.name, as: UTF8.self))
                if let copy { rescued.append(copy.sink.files) }
            }
        } catch {
            faults.append("cannot be rescued: \(error)")
            return
        }
        let unreadable = damage.damaged.union(damage.flipped)
        for (label, files) in map.files {
            for (path, file) in files where !file.isDirectory {
                let expected = contents(of: file)
                // The root has no name.
                let name = String(path.dropFirst())
                if rescued.contains(where: { $0[name] == expected }) {
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
