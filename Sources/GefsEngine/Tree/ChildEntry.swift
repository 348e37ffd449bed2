import GefsFormat

/// A node during an update: one of the tree, or one that is built but has no address yet.
struct ChildEntry {
    /// Not above any key or message in the node. Lies in the parent's block, in `buffer`, or, for
    /// a root, nowhere.
    var key: UnsafeRawBufferPointer
    /// Where a node of the tree lies; `none` for a new one.
    var pointer: BlockPointer
    /// The node, if it is new or has been read.
    var buffer: BlockBuffer?
    /// Bytes in use as the parent states it; 0 for the root of a tree, which has no parent.
    let fill: Int
    /// Levels from here down, 1 for a leaf.
    let height: Int

    /// Whether the node has no address yet.
    @inline(__always)
    var isNew: Bool { pointer.isNone }

    /// A node of the tree as its parent refers to it.
    @inline(__always)
    init(child index: Int, of pivot: PivotView, height: Int) {
        key = pivot.key(index)
        pointer = pivot.pointer(index)
        fill = pivot.childFill(index)
        self.height = height
    }

    /// The root of a tree.
    init(root: TreeRoot) {
        key = UnsafeRawBufferPointer(start: nil, count: 0)
        pointer = root.pointer
        fill = 0
        height = root.height
    }

    /// A new leaf.
    init(newLeaf buffer: BlockBuffer, fill: Int) {
        key = LeafView(unchecked: buffer.base).key(0)
        pointer = .none
        self.buffer = buffer
        self.fill = fill
        height = 1
    }

    /// A new pivot.
    init(newPivot buffer: BlockBuffer, fill: Int, height: Int) {
        let pivot = PivotView(unchecked: buffer.base)
        key = pivot.key(0)
        // Messages may sort before the first child; they belong to it.
        if pivot.messageCount > 0, compareKeys(pivot.messageKey(0), key) < 0 {
            key = pivot.messageKey(0)
        }
        pointer = .none
        self.buffer = buffer
        self.fill = fill
        self.height = height
    }

    /// Bytes that the entry takes in a pivot, with the table entry.
    @inline(__always)
    var entryBytes: Int {
        Geometry.tableEntryBytes &+ Geometry.recordOverheadBytes &+ key.count
            &+ Geometry.pivotValueBytes
    }
}

/// Nodes in key order: what takes the place of one node, or the children of a pivot to be.
struct NodeList {
    var entries: ContiguousArray<ChildEntry> = []
    /// Blocks that keys of entries lie in, to be kept until those keys are copied.
    var owners: ContiguousArray<BlockBuffer> = []
    /// Whether it is several nodes because keys were added behind all others; the nodes are then
    /// full except for the last.
    var isAppended = false

    /// Adds the nodes of `other` at the end.
    mutating func append(_ other: NodeList) {
        entries.append(contentsOf: other.entries)
        owners.append(contentsOf: other.owners)
    }

    /// Puts the nodes of `other` in place of the nodes in `range`.
    mutating func replace(_ range: Range<Int>, with other: NodeList) {
        entries.replaceSubrange(range, with: other.entries)
        owners.append(contentsOf: other.owners)
    }
}

/// How full new nodes may be, and when nodes are put together. All in bytes.
enum NodeLimits {
    /// Entries of a pivot. The head room is for upstream, which splits a pivot when two entries of
    /// the largest size do not fit. Source: FORMAT 6.2, invariant 7.
    static var pivotEntryBytes: Int {
        let largest =
            Geometry.recordOverheadBytes + Geometry.posixKeyBytesMax + Geometry.pivotValueBytes + 2
        return Geometry.pivotSpaceBytes - 2 * largest - Geometry.tableEntryBytes
    }
    /// What stays in a buffer that was too full.
    static var keptMessageBytes: Int { Geometry.pivotBufferBytes / 2 }
    /// Two leaves that together have no more than this become one.
    static var joinedLeafBytes: Int { Geometry.leafSpaceBytes * 3 / 4 }
    /// Two pivots whose entries together have no more than this become one, if
    static var joinedEntryBytes: Int { pivotEntryBytes * 3 / 4 }
    /// their messages together have no more than this.
    static var joinedMessageBytes: Int { Geometry.pivotBufferBytes * 3 / 4 }
    /// Fewest records that were added side by side for them to be taken for a sequence.
    static var sequenceCount: Int { 8 }
}
