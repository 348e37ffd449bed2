import GefsCrash
import GefsFormat
import GefsMend
import Testing

@testable import GefsEngine

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A volume with a random history, what was in every label at any time, and what damages it.
final class RescueWorkload {
    let image: MemoryImage
    /// What is in each label now.
    let labels: [String: FileModel]
    /// The branch with the most files.
    let branch: String
    /// The committed root of each label.
    let roots: [String: BlockPointer]
    /// All contents that any file ever had.
    let contents: Set<[UInt8]>
    /// Blocks of the image that are not zeros.
    let blocks: [UInt64]
    /// Which blocks each file of a label takes, by path.
    private var footprints: [String: [String: Set<UInt64>]] = [:]

    init(
        seed: UInt64, files: Int = 400, steps: Int = 40, features: FormatFeatures = []
    ) throws {
        let volume = try TestVolume(features: features)
        var workload = HistoryWorkload(seed: seed)
        var contents: Set<[UInt8]> = [[]]
        func remember() {
            for model in workload.labels.values {
                for case .file(let bytes) in model.items.values { contents.insert(bytes) }
            }
        }
        try workload.makeFiles(files, on: volume)
        remember()
        for step in 0..<steps {
            try workload.step(volume)
            remember()
            if step % 7 == 0 { try volume.sync() }
        }
        try volume.sync()
        // A sync does not wait for the backup superblock, and a cut may leave only that.
        var image: MemoryImage
        repeat {
            _ = try volume.fileSystem.lastCommit()
            image = volume.device.image()
        } while !SuperblockPair(reading: MemoryDevice(image)).agree
        let graph = volume.fileSystem.volume.history.snapshot()
        var roots: [String: BlockPointer] = [:]
        for label in workload.labels.keys {
            let record = graph.labels[Array(label.utf8)].flatMap { graph.records[$0.generation] }
            roots[label] = record?.root
        }
        self.image = image
        labels = workload.labels
        branch =
            workload.branches.sorted { $0.key < $1.key }
            .max { $0.value.items.count < $1.value.items.count }?.key ?? "main"
        self.roots = roots
        self.contents = contents
        let zeros = [UInt8](repeating: 0, count: Geometry.blockBytes)
        blocks = stride(from: 0, to: image.byteCount, by: Geometry.blockBytes).filter {
            let bytes = image.bytes(at: $0, count: Geometry.blockBytes)
            return memcmp(bytes, zeros, bytes.count) != 0
        }
    }

    /// Blocks whose first two bytes are this kind's number.
    func blocks(of kind: BlockKind) -> Set<UInt64> {
        Set(
            blocks.filter { block in
                image.bytes(at: block, count: 2) == [
                    UInt8(kind.rawValue >> 8), UInt8(kind.rawValue & 0xff),
                ]
            })
    }

    /// Nodes of the snapshot tree, the committed one and what is left of earlier ones.
    func snapshotNodes() -> Set<UInt64> {
        Set(
            blocks.filter { block in
                let bytes = image.bytes(at: block, count: Geometry.blockBytes)
                return bytes.withUnsafeBytes { ScannedNode($0, block: 0) }?
                    .flags.contains(.snapshots) ?? false
            })
    }

    /// The image with these blocks zeroed.
    func zeroed(_ hit: Set<UInt64>) -> MemoryImage {
        var damaged = image
        let zeros = [UInt8](repeating: 0, count: Geometry.blockBytes)
        for block in hit { zeros.withUnsafeBytes { damaged.write($0, at: block) } }
        return damaged
    }

    /// Blocks that the image was cut off at.
    func behind(_ length: UInt64) -> Set<UInt64> {
        let first = length / UInt64(Geometry.blockBytes) * UInt64(Geometry.blockBytes)
        return Set(stride(from: first, to: image.byteCount, by: Geometry.blockBytes))
    }

    private func footprint(_ label: String) throws -> [String: Set<UInt64>] {
        if let known = footprints[label] { return known }
        let tree = TreeFootprint(image, try #require(roots[label]))
        let files = try #require(labels[label]).files
        var footprint: [String: Set<UInt64>] = [:]
        for path in files { footprint[path] = tree.blocks(ofPath: path) }
        footprints[label] = footprint
        return footprint
    }

    struct Outcome {
        var files = 0
        /// Files of which no block was hit.
        var untouched = 0
        var whole = 0
    }

    /// Holds what came out of one label against the model.
    ///
    /// Without the root of the snapshot tree the last state may be that of an earlier commit.
    ///
    /// - Parameter hit: the blocks that were damaged.
    func compare(
        _ label: String, _ sink: MemorySink, hit: Set<UInt64>, _ note: Comment
    ) throws -> Outcome {
        let model = try #require(labels[label])
        let footprint = try footprint(label)
        var outcome = Outcome()
        for (path, item) in model.items {
            guard case .file(let content) = item else { continue }
            outcome.files += 1
            let needed = try #require(footprint[path], note)
            guard needed.isDisjoint(with: hit) else { continue }
            outcome.untouched += 1
            let isRight = sink.files[path] == content && sink.told[path]?.state == .whole
            #expect(isRight, "\(note): \(label):\(path) is untouched and did not come out")
            if isRight { outcome.whole += 1 }
        }
        let root = try SuperblockPair(reading: MemoryDevice(image)).loaded().snapshotTreeRoot
            .address
        checkSound(sink, note, hit.contains(root.rawValue) ? nil : model)
        return outcome
    }

    /// Nothing that came out is anything but what a file once held, or a hole that is listed.
    func checkSound(_ sink: MemorySink, _ note: Comment, _ model: FileModel? = nil) {
        for (path, bytes) in sink.files {
            guard let told = sink.told[path] else {
                Issue.record("\(note): \(path) is in no report")
                continue
            }
            if told.state == .whole {
                #expect(contents.contains(bytes), "\(note): \(path) was never like this")
                if told.origin == .tree, let model, !path.hasPrefix("lost+found") {
                    let isRight = model.items[path] == .file(bytes)
                    #expect(isRight, "\(note): \(path) is not what it should be")
                }
            } else if told.origin != .nameless {
                let isKnown = contents.contains { content in
                    content.count == bytes.count
                        && isEqual(content, bytes, without: told.missing)
                }
                #expect(isKnown, "\(note): \(path) is wrong beside what is missing")
            }
        }
    }

    private func isEqual(
        _ left: [UInt8], _ right: [UInt8], without missing: [Range<UInt64>]
    ) -> Bool {
        var position = 0
        for range in missing {
            let start = min(left.count, Int(range.lowerBound))
            guard left[position..<max(position, start)] == right[position..<max(position, start)]
            else { return false }
            position = min(left.count, Int(range.upperBound))
        }
        return left[position...] == right[position...]
    }
}
