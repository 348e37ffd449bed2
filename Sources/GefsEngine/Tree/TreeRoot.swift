import GefsFormat

/// Where a tree begins, and how many levels it has: 1 is a leaf alone.
struct TreeRoot: Hashable, Sendable {
    var pointer: BlockPointer
    var height: Int
}

/// Where nodes are read from: verified and structurally checked.
protocol NodeSource: Sendable {
    func node(_ pointer: BlockPointer, mayBlock: Bool) throws(ReadError) -> BlockBuffer
}

extension BlockReader: NodeSource {}

/// What can go wrong while a tree is changed.
enum TreeError: Error, Hashable {
    case read(ReadError)
    /// No block for a new node.
    case volumeFull
    /// The change would leave nothing; a tree always has its root's entry.
    case emptyTree
}

/// What an update of a tree needs from the volume.
///
/// When an update fails, the old root stays valid; the nodes written and the kills told until then
/// are the caller's to take back.
protocol FlushTarget: AnyObject {
    func readNode(_ pointer: BlockPointer) throws(TreeError) -> BlockBuffer
    func newBuffer() -> BlockBuffer
    /// Gives a finished node an address, hashes it, and queues its write.
    func writeNode(_ buffer: BlockBuffer) throws(TreeError) -> BlockPointer
    /// The tree does not refer to the node any more.
    func killNode(_ pointer: BlockPointer)
    /// No leaf and no insert message holds the pointer to this data block any more.
    func killData(_ pointer: BlockPointer)
}

/// Operations on Bε-trees on disk. Source: FORMAT 6.
enum Tree {
    /// Checks that a node is of the kind that its height demands.
    static func checkKind(
        _ buffer: BlockBuffer, _ pointer: BlockPointer, height: Int
    ) throws(ReadError) {
        let expected: BlockKind = height == 1 ? .leaf : .pivot
        let found = buffer.base.loadBigEndian(at: 0, as: UInt16.self)
        guard found == expected.rawValue else {
            throw .corrupt(
                CorruptBlock(pointer.address, expected, .kind(found: found, expected: expected)))
        }
    }
}
