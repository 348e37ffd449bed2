/// Verifying all blocks while the volume is served.
extension FileSystem {
    /// Bytes a second that a scrub reads where nobody says otherwise.
    public static let scrubRateDefault: UInt64 = 64 << 20

    /// Begins to verify all blocks: superblocks, headers, logs, lists, the nodes and the file data of
    /// every snapshot. Returns at once.
    ///
    /// Everything goes on meanwhile, deletions of snapshots included; what is written after the
    /// begin is not looked at.
    /// - Parameter rate: bytes a second at most.
    /// - Returns: false when a scrub is under way already.
    public func startScrub(rate: UInt64 = scrubRateDefault) -> Bool {
        volume.scrubber.start(volume, rate: rate)
    }

    /// Scrubs again and again, each time so long after the last complete one, also across openings.
    ///
    /// - Parameters:
    ///   - nanoseconds: from the end of one to the begin of the next.
    ///   - rate: bytes a second at most.
    public func scheduleScrubs(
        every nanoseconds: Int64, rate: UInt64 = scrubRateDefault
    ) throws(FileError) {
        _ = scrubState
        guard volume.scrubber.schedule(volume, every: nanoseconds, rate: rate) else {
            throw .outOfThreads
        }
    }

    /// Lets a scrub wait, or go on.
    public func pauseScrub(_ isPaused: Bool) { volume.scrubber.setPaused(isPaused) }

    /// Ends a scrub before its time; its result says that it is not complete.
    public func cancelScrub() { volume.scrubber.cancel() }

    /// Waits until no scrub is under way.
    ///
    /// - Parameter goesOn: asked ten times a second whether to wait any longer.
    public func waitForScrub(while goesOn: () -> Bool = { true }) {
        volume.scrubber.wait(while: goesOn)
    }

    /// How a scrub is going, and what the last one came to.
    public var scrubState: ScrubState {
        if volume.scrubber.current.last == nil {
            volume.scrubber.remember(try? volume.keptScrub())
        }
        return volume.scrubber.current
    }
}
