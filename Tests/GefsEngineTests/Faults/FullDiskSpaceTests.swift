import GefsCrash
import GefsFormat
import Testing

@testable import GefsEngine

/// What a full disk gives back, and what `df` says of it.
@Suite
struct FullDiskSpaceTests {
    private static let block = Geometry.blockBytes

    /// A volume with one file that takes everything; returns its blocks.
    private func makeFull() throws -> (volume: TestVolume, blocks: Int) {
        let volume = try TestVolume()
        try volume.makeFile("filler")
        var count = 0
        for step in [64, 1] {
            let bytes = [UInt8](repeating: 7, count: step * Self.block)
            while true {
                do {
                    try volume.write("filler", bytes, at: UInt64(count * Self.block))
                } catch FileError.volumeFull {
                    break
                }
                count += step
            }
        }
        return (volume, count)
    }

    @Test
    func `a full volume shortens files by wstat as it empties and removes them`() throws {
        let (volume, blocks) = try makeFull()
        try volume.sync()
        // Small steps, each a change of the entry and of one or two blocks of data.
        for step in 1...200 {
            try volume.change("filler") { $0.length = UInt64(blocks * Self.block - step * 10_000) }
            if step % 3 == 0 { try volume.sync() }
        }
        #expect(volume.fileSystem.failure == nil)
    }

    @Test(arguments: [3, 20, 200])
    func `what a truncation gives back is free after its commit`(count: Int) throws {
        let (volume, blocks) = try makeFull()
        try volume.sync()
        // No buffer in the tree may keep what frees the data, however little it is.
        let before = volume.fileSystem.settledSpace().used
        try volume.change("filler") { $0.length = UInt64((blocks - count) * Self.block) }
        let after = volume.fileSystem.settledSpace().used
        #expect(before >= after + UInt64((count - 2) * Self.block))
    }

    @Test(arguments: RandomWorkload.seeds([1, 2, 3]))
    func `what df calls available can be written`(seed: UInt64) throws {
        var (volume, blocks) = try makeFull()
        var generator = SeededGenerator(seed: seed)
        for round in 0..<25 {
            let freed = Int.random(in: 0...80, using: &generator)
            blocks -= freed
            try volume.change("filler") { $0.length = UInt64(blocks * Self.block) }
            if Bool.random(using: &generator) { try volume.makeFile("other \(round)") }
            let available = Int(volume.fileSystem.settledSpace().available) / Self.block
            let bytes = [UInt8](repeating: 8, count: available * Self.block)
            if available > 0 { try volume.write("filler", bytes, at: UInt64(blocks * Self.block)) }
            blocks += available
        }
    }
}
