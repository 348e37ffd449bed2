/// One content that a crash may have left: which writes had reached the disk, and how much of each.
///
/// To look at it on a device in memory: `CrashImages`. On any other device, such as a file, or an
/// `OverlayDevice` on a file that is not to change: give it the content of the time when recording
/// began and call `write(_:to:)`.
public struct CrashState: Hashable, Sendable {
    /// What of a write is there.
    public struct Piece: Hashable, Sendable {
        /// The write, as the index of an event.
        public var event: Int
        /// Which of its bytes; nil: all of them.
        public var kept: [Range<Int>]?

        init(event: Int, kept: [Range<Int>]? = nil) {
            self.event = event
            self.kept = kept
        }
    }

    /// Events before this one have happened wholly.
    public var durableCount: Int
    /// What is there of later writes, in the order in which it reached the disk.
    public var pieces: [Piece]
    /// The events after which power may have been cut to leave this: at the earliest when the last
    /// of the writes had been asked for, at the latest before the next flush was done.
    public var cuts: ClosedRange<Int>

    init(_ interval: Recording.Interval, _ pieces: [Piece]) {
        durableCount = interval.start
        self.pieces = pieces
        let earliest = pieces.reduce(interval.start) { max($0, $1.event + 1) }
        cuts = earliest...max(earliest, interval.end)
    }
}

extension Recording {
    /// Gives every part of the pieces of a state to `body`, in order.
    public func forEachPart(
        of state: CrashState, _ body: (_ offset: UInt64, _ bytes: ArraySlice<UInt8>) throws -> Void
    ) rethrows {
        for piece in state.pieces {
            guard case .write(let offset, let bytes) = events[piece.event] else { continue }
            guard let kept = piece.kept else {
                try body(offset, bytes[...])
                continue
            }
            for range in kept { try body(offset + UInt64(range.lowerBound), bytes[range]) }
        }
    }

    /// Makes a device that holds what was there when recording began hold a crash state.
    public func write(_ state: CrashState, to device: any BlockDevice) throws(DeviceError) {
        var failure: DeviceError?
        func put(_ offset: UInt64, _ bytes: ArraySlice<UInt8>) {
            guard failure == nil else { return }
            bytes.withUnsafeBytes { raw in
                do throws(DeviceError) {
                    try device.write(at: offset, from: raw)
                } catch {
                    failure = error
                }
            }
        }
        for case .write(let offset, let bytes) in events[..<state.durableCount] {
            put(offset, bytes[...])
        }
        forEachPart(of: state, put)
        if let failure { throw failure }
    }
}
