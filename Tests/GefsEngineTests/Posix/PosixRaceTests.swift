import GefsCrash
import GefsFormat
import Synchronization
import Testing

@testable import GefsEngine

/// Hard links and extended attributes changed by many at once.
@Suite struct PosixRaceTests {
    /// Whatever chance brings on the same few names, until `stop`. What is refused is refused.
    private func work(_ volume: TestVolume, seed: UInt64, until stop: borrowing Atomic<Bool>) {
        var chance = SeededGenerator(seed: seed)
        let names = ["a", "b", "d/a", "d/b", "d/c", "e/a", "e/b"]
        var count = 0
        while !stop.load(ordering: .relaxed) {
            let path = names.randomElement(using: &chance) ?? "a"
            let other = names.randomElement(using: &chance) ?? "a"
            count += 1
            switch Int.random(in: 0..<10, using: &chance) {
            case 0, 1:
                try? volume.makeFile(path, [UInt8](repeating: UInt8(seed & 255), count: 3000))
            case 2, 3: try? volume.link(path, other)
            case 4: try? volume.remove(path)
            case 5: try? volume.rename(path, to: other, .replace)
            case 6: try? volume.rename(path, to: other, .exchange)
            case 7:
                let value = [UInt8](repeating: 1, count: Int.random(in: 0..<1200, using: &chance))
                try? volume.setAttribute("user.\(count % 2)", of: path, to: value)
            case 8: try? volume.setAttribute("user.\(count % 2)", of: path, to: nil)
            default:
                _ = try? volume.read(path)
                if count % 9 == 0 { try? volume.sync() }
            }
        }
    }

    @Test(arguments: RandomWorkload.seeds([1, UInt64.random(in: 0...(.max))]))
    func `names, counts and attributes agree whoever was faster`(seed: UInt64) throws {
        print("posix race: GEFS_SEED=\(seed)")
        let volume = try TestVolume(features: .posix)
        for name in ["d", "e"] { try volume.makeDirectory(name) }
        try volume.makeFile("d/a", [1])
        try volume.link("d/a", "e/a")
        try volume.snapshot("s0")
        let stop = Atomic(false)
        let threads = (0..<3).map { index in
            WorkerThread {
                work(volume, seed: seed &+ UInt64(index), until: stop)
            }
        }
        var restores = 0
        for round in 1...150 {
            let path = ["d", "e", ""][round % 3]
            do {
                try volume.restore(path, from: "s\((round - 1) / 5)", deletesNew: round % 2 == 0)
                restores += 1
            } catch let error as RestoreError {
                let isKnown = [.interference, .exists, .notADirectory, .notFound]
                    .contains(error.fault)
                #expect(isKnown, "\(error)")
            }
            if round % 5 == 0 { try volume.snapshot("s\(round / 5)") }
        }
        stop.store(true, ordering: .relaxed)
        for thread in threads { thread?.join() }
        print("posix race: \(restores) restores")
        // Reading all of it finds as many names of each file as the file says.
        _ = try FileModel(of: volume)
        try volume.expectClean()
        #expect(restores > 0)
    }
}
