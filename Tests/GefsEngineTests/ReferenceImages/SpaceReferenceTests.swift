import GefsFormat
import Testing

@testable import GefsEngine

/// Disks whose trees nobody counted while they were written, with what the original leaves behind.
@Suite(.enabled(if: ReferenceImages.folder != nil, Comment(rawValue: ReferenceImages.absence)))
struct SpaceReferenceTests {
    @Test(arguments: ReferenceImages.names)
    func `what labels hold on a disk of the original is what its trees show`(name: String) throws {
        try ReferenceImages.withImage(name) { path in
            try check(path, isReadOnly: true) { _ in }
            try check(path, isReadOnly: false) { fileSystem in
                var random = TreeRandom(seed: 7)
                while true {
                    let labels = try fileSystem.labels().map(\.name).filter {
                        !LabelName.reserved.contains($0)
                    }
                    guard !labels.isEmpty else { return }
                    let set = labels.filter { _ in random.chance(40) }
                    if set.isEmpty { continue }
                    let said = try fileSystem.deletionSpace(of: set)
                    let before = try fileSystem.explainSpace().treeBytes
                    try fileSystem.change(
                        set.map { .delete($0) }, as: Caller(user: .adm, isPermissive: true))
                    try fileSystem.drainHistory()
                    let after = try fileSystem.explainSpace().treeBytes
                    let forgotten = Int(before - after) - Int(said.freedBytes)
                    #expect((0...Self.forgottenMax).contains(forgotten / Geometry.blockBytes))
                    try checkLabels(fileSystem)
                }
            }
        }
    }

    /// Blocks that a label holds, but that are on no deadlist, since the original forgot them when
    /// they were replaced: at most so many on any of the images. Deleting the label loses them.
    private static let forgottenMax = 8

    /// Opens an image and holds what is said of its space against a check.
    private func check(
        _ path: String, isReadOnly: Bool, _ body: (FileSystem) throws -> Void
    ) throws {
        var options = TestVolume.options
        options.isReadOnly = isReadOnly
        let device = try FileDevice(path: path, access: isReadOnly ? .readOnly : .readWrite)
        let fileSystem = try FileSystem.open(device, options: options)
        try fileSystem.drainHistory()
        try checkLabels(fileSystem)
        try body(fileSystem)
        let explained = try fileSystem.explainSpace()
        #expect(explained.total == explained.size)
        #expect(explained.overlap == 0)
        let leaked = try fileSystem.check().totals.leakedBlocks
        let forgotten = Int(explained.unaccounted) / Geometry.blockBytes - leaked
        #expect((0...Self.forgottenMax).contains(forgotten))
        try fileSystem.close()
    }

    private func checkLabels(_ fileSystem: FileSystem) throws {
        let holders = try BlockHolders(fileSystem)
        for space in try fileSystem.labelSpace() {
            #expect(space.referencedBytes == holders.referenced(space.label.name).blockBytes)
            if space.label.generation == 0 { continue }
            let alone = holders.freed(deleting: [space.label.name])
            let forgotten = alone - Int(space.exclusiveBytes) / Geometry.blockBytes
            #expect((0...Self.forgottenMax).contains(forgotten), "label \(space.label.text)")
        }
    }
}
