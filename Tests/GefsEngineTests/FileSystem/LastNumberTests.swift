import GefsCrash
import GefsFormat
import Testing

@testable import GefsEngine

/// Disks whose numbers have come to their end, which only happens where somebody made them up.
@Suite struct LastNumberTests {
    /// An image whose superblocks are changed, hashes and all.
    private func image(_ body: (inout Superblock) -> Void) throws -> MemoryImage {
        let memory = MemoryDevice(byteCount: TestVolume.deviceBytes)
        try Ream.run(device: memory, user: "glenda")
        var image = memory.image
        let backup = DeviceLayout.backupSuperblock(deviceBytes: image.byteCount)
        for address in [0, backup] {
            let block = BlockBuffer()
            image.read(at: address, into: block.mutableBytes)
            var superblock = try Superblock(
                decoding: block.bytes, at: BlockAddress(rawValue: address))
            body(&superblock)
            superblock.encode(into: block.mutableBytes)
            image.write(block.bytes, at: address)
        }
        return image
    }

    /// The commit wrote a superblock that no reader takes, and the one before it was the disk then.
    @Test func `the last commit that can be numbered is the last`() throws {
        let memory = MemoryDevice(try image { $0.commitGeneration = (1 << 55) - 1 })
        let volume = try TestVolume(on: memory)
        try volume.makeFile("new", [1, 2, 3])
        #expect(throws: FileError.self) { try volume.fileSystem.sync(as: volume.caller) }
        let reopened = try TestVolume(image: memory.image)
        #expect(try !reopened.fileSystem.check().isBroken)
    }
}
