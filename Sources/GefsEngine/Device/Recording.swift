/// What a device was asked to do, from a known content on.
///
/// Everything that a crash may have left follows from it: `CrashStates` lists that.
public struct Recording: Sendable {
    /// What was durable when recording began.
    public var base: MemoryImage
    /// All successful writes and flushes since, in order.
    public var events: [RecordingDevice.Event]

    /// A recording as it was made, or one put together by hand.
    public init(base: MemoryImage, events: [RecordingDevice.Event]) {
        self.base = base
        self.events = events
    }

    /// Writes between two flushes, which a disk may do in any order or not at all.
    public struct Interval: Hashable, Sendable {
        /// Events before the interval: all of them are durable, if flushes are honest.
        public let start: Int
        /// The flush that ends the interval, or the end of the recording.
        public let end: Int
        /// The writes, as indices of events.
        public var writes: Range<Int> { start..<end }
    }

    /// The intervals, in order; the last one may be without a write, others without are left out.
    public var intervals: [Interval] {
        var found: [Interval] = []
        var start = 0
        for index in events.indices where events[index] == .flush {
            if start < index { found.append(Interval(start: start, end: index)) }
            start = index + 1
        }
        found.append(Interval(start: start, end: events.count))
        return found
    }

    /// The intervals of a device whose flushes are lies: what was written before a flush may be lost
    /// with what was written behind it. No file system survives that without fail.
    public var intervalsAcrossFlushes: [Interval] {
        let honest = intervals
        return zip(honest, honest.dropFirst()).map { Interval(start: $0.start, end: $1.end) }
    }

    /// The content after the first `count` events, all writes done in order.
    public func image(after count: Int) -> MemoryImage {
        var image = base
        for case .write(let offset, let bytes) in events[..<count] {
            bytes.withUnsafeBytes { image.write($0, at: offset) }
        }
        return image
    }
}
