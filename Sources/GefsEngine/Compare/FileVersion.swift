import GefsFormat

/// What a path was in a stretch of the states that a branch went through.
public struct FileVersion: Sendable {
    /// The file; nil where there was none under the path.
    public var entry: DirectoryEntry?
    /// The newest label that shows the file so: the branch itself for its present state.
    public var newest: LabelInfo
    /// The oldest label that shows the file so.
    public var oldest: LabelInfo
    /// Labels from the newest to the oldest, both included.
    public var labelCount: Int
}

/// The versions of a file, newest first, and what it took to find them.
public struct FileHistory: Sendable {
    public var versions: [FileVersion] = []
    /// States of the branch in which the path was looked up.
    public var lookupCount = 0
    /// Blocks read from the device.
    public var blocksRead = 0
}
