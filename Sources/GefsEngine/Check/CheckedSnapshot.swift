import GefsFormat

/// A snapshot and what the walk through its tree has found.
struct CheckedSnapshot {
    /// By its key; the record may state another one.
    var generation: Generation
    var record: SnapshotRecord
    /// Generation and labels, for messages.
    var name: TreeName
    /// How many labels name it.
    var labelCount: Int
    var root = NodeGraph.none
    /// The first node that its walk met; those of older ones come before.
    var firstNode = NodeGraph.none
    var flags: NodeGraph.Flags = []
}

/// A deadlist and where its entries are kept.
struct CheckedDeadlist {
    var name: DeadlistName
    /// The snapshot W; `none` for the list of pending frees.
    var generation: Generation
    /// g: when its blocks were born.
    var birth: Generation
    var record: DeadlistRecord
    /// Numbers of the blocks on it.
    var blocks: ContiguousArray<Int> = []
}

/// A pointer to a block that is on a deadlist, in a leaf or an insert message.
struct DeadReference {
    var block: Int
    var node: NodeNumber
}
