import Synchronization

@testable import GefsEngine

/// A clock that goes when a test says so.
final class ManualClock: Sendable {
    private let time: Atomic<Int64>

    /// Begins at `2026-11-22T12:00:00Z`.
    init(nanoseconds: Int64 = 1_795_348_800_000_000_000) {
        time = Atomic(nanoseconds)
    }

    var nanoseconds: Int64 { time.load(ordering: .relaxed) }

    func advance(seconds: Int64) {
        time.wrappingAdd(seconds * 1_000_000_000, ordering: .relaxed)
    }

    /// Options of a volume that asks this clock.
    var options: VolumeOptions {
        var options = TestVolume.options
        options.clock = { [self] in nanoseconds }
        return options
    }
}
