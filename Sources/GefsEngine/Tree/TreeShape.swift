import GefsFormat

/// How large the nodes of a tree are together, for benchmarks and for whoever wonders.
package struct TreeShape: Hashable, Sendable {
    /// Levels, leaves included.
    package var height = 0
    /// Nodes above the leaves.
    package var pivots = 0
    package var leaves = 0
    /// Bytes of the leaves that records and their tables take.
    package var leafFillBytes = 0

    /// All nodes.
    package var nodes: Int { pivots + leaves }
    /// What the nodes take on the device.
    package var byteCount: Int { nodes * Geometry.blockBytes }
}

extension FileSystem {
    /// Looks at a label's tree, of which no leaf is read: their parents say how full they are.
    ///
    /// What was acknowledged before is committed first, and so part of it.
    package func treeShape(of label: [UInt8]) throws(FileError) -> TreeShape {
        let pinned = try pin(label)
        var shape = TreeShape()
        shape.height = pinned.root.height
        do throws(ReadError) {
            try count(pinned.root.pointer, pinned.root.height, fill: 0, &shape)
        } catch {
            throw FileError(error)
        }
        return withExtendedLifetime(pinned) { shape }
    }

    private func count(
        _ pointer: BlockPointer, _ height: Int, fill: Int, _ shape: inout TreeShape
    ) throws(ReadError) {
        guard height > 1 else {
            shape.leaves += 1
            shape.leafFillBytes += fill
            return
        }
        shape.pivots += 1
        let node = try Tree.readNode(
            pointer, height: height, from: volume.reader, mayBlock: true)
        let pivot = PivotView(unchecked: node.base)
        for index in 0..<pivot.childCount {
            try count(
                pivot.pointer(index), height - 1, fill: pivot.childFill(index), &shape)
        }
        withExtendedLifetime(node) {}
    }
}
