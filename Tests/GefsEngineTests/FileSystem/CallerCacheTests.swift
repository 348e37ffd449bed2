import GefsCrash
import GefsFormat
import Testing

@testable import GefsEngine

/// What the volume's cache keeps of what is written and read.
@Suite
struct CallerCacheTests {
    private static let blocks = 200

    private static let caching = Caller(
        user: .none, isPermissive: true, door: 7, cachesContents: true)
    private static let other = Caller(user: .none, isPermissive: true, door: 7)

    /// A volume with a file, whose content is `content`.
    private struct Sample {
        let volume: TestVolume
        let file: FileHandle
        let content: [UInt8]

        init() throws {
            volume = try TestVolume()
            let root = try volume.fileSystem.attach(Array("main".utf8), as: other)
            let creation = PosixCreation(mode: 0o644, owner: .adm, group: .adm)
            file = try Array("f".utf8).withBytes { [volume] (bytes) throws(FileError) in
                try volume.fileSystem.make(bytes, in: root, creation, as: other).0
            }
            content = (0..<(blocks * Geometry.blockBytes)).map { UInt8(truncatingIfNeeded: $0 / 7) }
            try volume.sync()
        }

        func write(_ pieceBytes: Int, as caller: Caller) throws {
            for start in stride(from: 0, to: content.count, by: pieceBytes) {
                let piece = content[start..<min(start + pieceBytes, content.count)]
                _ = try Array(piece).withBytes { (bytes) throws(FileError) in
                    try volume.fileSystem.writeUnchecked(
                        file, at: UInt64(start), from: bytes, as: caller)
                }
            }
            try volume.sync()
        }

        func read(_ pieceBytes: Int, as caller: Caller) throws -> [UInt8] {
            var found = [UInt8](repeating: 0, count: content.count)
            try found.withUnsafeMutableBytes { bytes in
                for start in stride(from: 0, to: bytes.count, by: pieceBytes) {
                    let piece = bytes[start..<min(start + pieceBytes, bytes.count)]
                    _ = try volume.fileSystem.readUnchecked(
                        file, at: UInt64(start), into: .init(rebasing: piece), as: caller)
                }
            }
            return found
        }

        func cachedBlocks() throws -> Int { try volume.fileSystem.memoryState().cachedBlocks }
    }

    /// Blocks that the cache has more when the file was written, a piece at a time, and synced.
    ///
    /// - Parameter isNew: the file was empty before; else what was there is written over.
    private func keptOfWrites(
        _ pieceBytes: Int, as caller: Caller, isNew: Bool = true
    ) throws -> Int {
        let sample = try Sample()
        if !isNew { try sample.write(1 << 20, as: Self.caching) }
        let before = try sample.cachedBlocks()
        try sample.write(pieceBytes, as: caller)
        let kept = try sample.cachedBlocks() - before
        #expect(try sample.read(1 << 20, as: caller) == sample.content)
        return kept
    }

    /// Blocks that the cache has more when the file was read, a piece at a time.
    private func keptOfReads(_ pieceBytes: Int, as caller: Caller) throws -> Int {
        let sample = try Sample()
        try sample.write(1 << 20, as: Self.caching)
        let before = try sample.cachedBlocks()
        #expect(try sample.read(pieceBytes, as: caller) == sample.content)
        return try sample.cachedBlocks() - before
    }

    @Test func `blocks that a writer caches itself take no room, but those changed in parts do`()
        throws
    {
        #expect(try keptOfWrites(1 << 20, as: Self.other) > Self.blocks * 9 / 10)
        #expect(try keptOfWrites(1 << 20, as: Self.caching) < Self.blocks / 10)
        #expect(try keptOfWrites(1 << 20, as: Self.caching, isNew: false) < Self.blocks / 10)
        #expect(try keptOfWrites(4096, as: Self.caching, isNew: false) > Self.blocks * 9 / 10)
    }

    // Each small file took a block of memory, most of it zeros, when it was on the device.
    @Test func `what a writer caches itself takes no room where it is all that a file has so far`()
        throws
    {
        #expect(try keptOfWrites(4096, as: Self.other) > Self.blocks * 9 / 10)
        #expect(try keptOfWrites(4096, as: Self.caching) < Self.blocks / 10)
        #expect(try keptOfWrites(1000, as: Self.caching) < Self.blocks / 4)
    }

    @Test func `blocks that a reader caches itself take no room, but those read in parts do`()
        throws
    {
        #expect(try keptOfReads(1 << 20, as: Self.other) > Self.blocks * 9 / 10)
        #expect(try keptOfReads(1 << 20, as: Self.caching) < Self.blocks / 10)
        #expect(try keptOfReads(4096, as: Self.caching) > Self.blocks * 9 / 10)
    }
}
