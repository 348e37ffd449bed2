import GefsFormat
import Synchronization
import Testing

@testable import GefsEngine

/// Comparisons and logs beside writers and deletions.
@Suite struct CompareConcurrencyTests {
    private final class Outcome: Sendable {
        let isDone = Atomic<Bool>(false)
        let problems = Mutex<[String]>([])
    }

    @Test func `snapshots are made and deleted while others look at them`() throws {
        // Small, so that freed blocks are soon used again.
        var options = TestVolume.options
        options.cacheBytes = 1 << 20
        let volume = try TestVolume(options: options)
        for index in 0..<400 { try volume.makeFile("file\(index)", [UInt8(index & 255)]) }
        try volume.snapshot("s0")
        let fileSystem = volume.fileSystem
        let outcome = Outcome()
        let looking = WorkerThread {
            var round = 0
            while !outcome.isDone.load(ordering: .acquiring) || round < 10 {
                round += 1
                do throws(FileError) {
                    let main = Array("main".utf8)
                    let totals = try fileSystem.compare(Array("empty".utf8), main) { _ in true }
                    if totals.added < 400 { throw .notFound }
                    if try fileSystem.versions(of: [Array("file7".utf8)], in: main).versions.isEmpty
                    {
                        throw .notFound
                    }
                } catch {
                    outcome.problems.withLock { $0.append("\(error)") }
                }
            }
        }
        for round in 1...60 {
            for index in 0..<20 {
                try volume.write("file\((round * 31 + index * 7) % 400)", [1, 2, 3], at: 0)
            }
            try volume.write("file7", [UInt8(round)], at: 0)
            try volume.snapshot("s\(round)")
            if round > 5 { try volume.label(.delete(Array("s\(round - 5)".utf8))) }
        }
        outcome.isDone.store(true, ordering: .releasing)
        let thread = try #require(looking)
        thread.join()
        let problems = outcome.problems.withLock { Array($0.prefix(3)) }
        #expect(problems == [])
        try fileSystem.drainHistory()
        try fileSystem.close()
        #expect(try VolumeCheck.leaks(volume.device.image()) == 0)
    }
}
