import GefsFormat

/// How much one deadlist (W, g) holds. Source: FORMAT 8.2, 8.3.
struct DeadCount: Hashable, Sendable {
    /// g: when the blocks on the list were born.
    var birth: Generation
    /// Blocks on the list.
    var blocks: Int
    /// Blocks that the list itself takes.
    var listBlocks: Int
}

/// How many blocks a snapshot holds that nothing outside of its line does: those that were born
/// after its base, and all of them where that is the first record of all.
typealias OwnCount = (Generation) throws(FileError) -> Int
