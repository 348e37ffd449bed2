import GefsCrash
import GefsFormat
import Testing

@testable import GefsEngine

/// Hard links and extended attributes beside everything else, against a model.
@Suite struct PosixModelTests {
    @Test(arguments: RandomWorkload.seeds([1, 2, UInt64.random(in: 0...(.max))]))
    func `random files, links, attributes, snapshots and roll-backs agree with a model`(
        seed: UInt64
    ) throws {
        print("posix model: GEFS_SEED=\(seed)")
        let volume = try TestVolume(features: .posix)
        var workload = HistoryWorkload(seed: seed)
        for round in 0..<6 {
            for _ in 0..<60 { try workload.step(volume) }
            let found = try HistoryState(of: volume)
            let difference = workload.present.difference(from: found)
            try #require(found == workload.present, "round \(round): \(difference ?? "?")")
            volume.fileSystem.drainReclaims()
            try volume.reopen()
            #expect(try VolumeCheck.leaks(volume) == 0)
        }
        try volume.expectClean()
    }
}
