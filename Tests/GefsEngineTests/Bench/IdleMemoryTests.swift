import GefsBench
import Testing

@testable import GefsEngine

struct IdleMemoryTests {
    /// A million closed files stayed resident: the allocator kept what they had taken.
    @Test
    func `what the allocator keeps is given back once nobody reads any more`() throws {
        let volume = try BenchVolume(making: nil, byteCount: 1 << 30)
        try volume.fill(0..<1000, .flat)
        let engine = volume.fileSystem.volume
        // Small objects between others that stay, so that the heap cannot shrink at its end.
        var gone: [[UInt8]] = []
        var staying: [[UInt8]] = []
        for index in 0..<200_000 {
            gone.append([UInt8](repeating: 1, count: 400))
            if index % 64 == 0 { staying.append([UInt8](repeating: 2, count: 400)) }
        }
        gone = []
        let before = ProcessMemory.residentBytes
        // Somebody has read since the last look, so that the first one does nothing.
        try volume.withDirectory("one") { _ = try volume.list($0) }
        try volume.sync()
        for _ in 0..<2 { try engine.onFlushThread { $0.giveBackMemory() } }
        #expect(engine.idleMemory.keptBytes == 0 || ProcessMemory.residentBytes < before)
        withExtendedLifetime(staying) {}
        try volume.close()
    }
}
