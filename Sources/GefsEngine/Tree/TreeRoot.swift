import GefsFormat

/// Where a tree starts and how many levels it has.
struct TreeRoot: Hashable, Sendable {
    /// The root node.
    var pointer: BlockPointer
    /// Number of levels: 1 when the root is a leaf.
    var height: Int
}

/// What trees are read from.
protocol NodeSource: Sendable {
    /// The node that `pointer` refers to, with hash and structure (`NodeCheck`) verified.
    ///
    /// - Parameter mayBlock: when false, `.wouldBlock` is thrown instead of waiting for a device.
    func node(_ pointer: BlockPointer, mayBlock: Bool) throws(ReadError) -> BlockBuffer
}

extension BlockReader: NodeSource {}

/// Bε-trees: nodes with message buffers, changed by copying. A namespace.
///
/// Trees of files and the tree of snapshots are the same here. Source: FORMAT 6.
enum Tree {
    /// The kind of a verified node, if it is the right one for its height.
    ///
    /// - Parameter height: levels from here down, 1 for leaves.
    @inline(__always)
    static func checkKind(
        _ node: BlockBuffer, height: Int, at pointer: BlockPointer
    ) throws(CorruptBlock) {
        let expected: BlockKind = height == 1 ? .leaf : .pivot
        let found = UnsafeRawPointer(node.base).loadBigEndian(at: 0, as: UInt16.self)
        if found != expected.rawValue {
            throw CorruptBlock(
                pointer.address, expected, .kind(found: found, expected: expected))
        }
    }

    /// A node for reading only, of the kind that its height demands.
    @inline(__always)
    static func readNode<Source: NodeSource>(
        _ pointer: BlockPointer, height: Int, from source: Source, mayBlock: Bool
    ) throws(ReadError) -> BlockBuffer {
        let node = try source.node(pointer, mayBlock: mayBlock)
        do throws(CorruptBlock) {
            try checkKind(node, height: height, at: pointer)
        } catch {
            throw .corrupt(error)
        }
        return node
    }
}
