import GefsFormat

/// Why a tree could not be changed. The tree is then as it was.
enum TreeError: Error, Hashable {
    /// A node could not be read.
    case read(ReadError)
    /// A node does not fit its place in the tree.
    case corrupt(CorruptBlock)
    /// There is no block for a new node.
    case volumeFull
    /// The change would leave a tree without any key, which the format cannot hold.
    case emptyTree
}

/// Where `Tree.apply` gets nodes from and puts them to, and who learns what dies.
///
/// Used from one thread. When `apply` throws, everything it told the target is void: the kills
/// have not happened, and the nodes written are not part of any tree.
protocol FlushTarget: AnyObject {
    /// What new nodes are born in.
    var generation: Generation { get }
    /// A node of the tree or one that was just written, verified like `NodeSource.node`; may block.
    func readNode(_ pointer: BlockPointer) throws(TreeError) -> BlockBuffer
    /// A block to build a node in; its bytes are unspecified.
    func newBuffer() -> BlockBuffer
    /// Gives a finished node an address and its hash, and queues it. Its bytes never change again.
    func writeNode(_ buffer: BlockBuffer) throws(TreeError) -> BlockPointer
    /// The tree no longer refers to a node. It may be one that `writeNode` just made.
    func killNode(_ pointer: BlockPointer)
    /// No leaf value and no insert message holds this pointer to file data any more.
    func killData(_ pointer: BlockPointer)
    /// Whether `readNode` returns something else than what the pointer leads to, which therefore
    /// has to be written.
    func isReplaced(_ pointer: BlockPointer) -> Bool
}

extension FlushTarget {
    @inline(__always)
    func isReplaced(_ pointer: BlockPointer) -> Bool { false }
}
