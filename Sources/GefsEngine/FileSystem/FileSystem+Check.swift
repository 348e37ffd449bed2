import GefsFormat

extension FileSystem {
    /// Checks the last commit, beside everything else that goes on. Blocks until it is done.
    ///
    /// Blocks that are freed meanwhile stay allocated until the check is over.
    /// - Parameter progress: asked every few MiB whether to go on.
    /// - Throws: `.closed` where the volume is being closed.
    public func check(
        options: CheckOptions = CheckOptions(), progress: Checker.ProgressHandler? = nil
    ) throws(FileError) -> CheckReport {
        // Nobody writes: the device itself is the commit, and what was wrong with it at open shows.
        if volume.isReadOnly { return Checker.check(device, options: options, progress: progress) }
        try volume.sync()
        let commit = try volume.onFlushThread { PinnedCommit($0) }
        return Checker.check(commit, options: options, progress: progress)
    }

    /// The superblock of the last durable commit.
    public func lastCommit() throws(FileError) -> Superblock {
        try volume.onFlushThread { $0.superblock }
    }

    /// Which of the two upstream trees the disk belongs to, and is kept for.
    public var dialect: Dialect { volume.dialect }
}
