import GefsCrash
import GefsFormat
import Testing

@testable import GefsEngine

/// Directories in directories, as deep as anybody cares to make them.
@Suite struct DepthTests {
    private static let depth = 30_000

    /// The nodes of the directories above went one in another when the deepest was let go of, and the
    /// stack overflowed.
    @Test func `a tree that is deeper than a stack harms nobody`() throws {
        let volume = try TestVolume()
        var handle = try volume.root()
        let name = [UInt8(ascii: "d")]
        for _ in 0..<Self.depth {
            let maker = volume.fileSystem.clone(handle)
            try name.withUnsafeBytes { bytes in
                try volume.fileSystem.create(
                    in: maker, name: bytes, mode: ModeBits.directory | 0o755, OpenMode(.read),
                    as: volume.caller)
            }
            volume.fileSystem.close(maker)
            let next = try name.withUnsafeBytes { bytes in
                try volume.fileSystem.walk(from: handle, bytes, as: volume.caller)
            }
            volume.fileSystem.close(handle)
            handle = next
        }
        volume.fileSystem.close(handle)
        try volume.fileSystem.sync(as: volume.caller)
        let report = try volume.fileSystem.check()
        #expect(!report.isBroken && report.isComplete)
    }
}
