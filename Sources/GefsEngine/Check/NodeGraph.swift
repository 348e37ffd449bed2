import GefsFormat

/// Names a node within a check.
typealias NodeNumber = UInt32

/// All nodes of all trees, each once, and how they refer to each other.
///
/// Trees share most of their nodes, so what is found out about a node is kept here and not looked
/// for again: about 100 bytes a node, of which there is one for some hundred blocks.
/// Not synchronised.
final class NodeGraph {
    /// What keeps a tree from being trusted.
    struct Flags: OptionSet {
        let rawValue: UInt8
        /// Something is wrong with the node or one below it.
        static let damaged = Flags(rawValue: 1)
        /// The node or one below it could not be read, so that records are missing.
        static let incomplete = Flags(rawValue: 2)
        /// The node is a leaf.
        static let leaf = Flags(rawValue: 4)
        /// The node itself could not be read.
        static let unreadable = Flags(rawValue: 8)

        /// What parents inherit.
        static let inherited: Flags = [.damaged, .incomplete]
    }

    struct Node {
        var pointer: BlockPointer
        /// Levels from here to the leaves, 1 for a leaf, as the first parent has it.
        var height: Int
        var fill = 0
        /// Children in `children`.
        var firstChild = 0
        var childCount = 0
        /// The lowest and the highest key here and, along the last children, below. In `keys`.
        var lowKey = 0
        var lowKeyBytes = 0
        var highKeyBytes = 0
        var flags: Flags = []
    }

    /// Stands for a child that could not be followed, or for no node at all.
    static let none = NodeNumber.max

    private(set) var nodes: ContiguousArray<Node> = []
    private var children: ContiguousArray<NodeNumber> = []
    private var keys: ContiguousArray<UInt8> = []

    /// Adds a node of which only the place is known.
    func add(_ pointer: BlockPointer, height: Int) -> NodeNumber {
        nodes.append(Node(pointer: pointer, height: height))
        return NodeNumber(nodes.count - 1)
    }

    subscript(number: NodeNumber) -> Node {
        @inline(__always) get { nodes[Int(number)] }
    }

    func setFill(_ number: NodeNumber, _ fill: Int) {
        nodes[Int(number)].fill = fill
    }

    func setFlags(_ number: NodeNumber, _ flags: Flags) {
        nodes[Int(number)].flags = flags
    }

    /// Makes room for the children of a node; they are set later, as they are met.
    func reserveChildren(of number: NodeNumber, count: Int) {
        nodes[Int(number)].firstChild = children.count
        nodes[Int(number)].childCount = count
        children.append(contentsOf: repeatElement(Self.none, count: count))
    }

    func setChild(_ index: Int, of number: NodeNumber, to child: NodeNumber) {
        children[nodes[Int(number)].firstChild + index] = child
    }

    /// A child of a node, or `none`.
    @inline(__always)
    func child(_ index: Int, of number: NodeNumber) -> NodeNumber {
        children[nodes[Int(number)].firstChild + index]
    }

    func setRange(
        _ number: NodeNumber, low: UnsafeRawBufferPointer, high: UnsafeRawBufferPointer
    ) {
        nodes[Int(number)].lowKey = keys.count
        nodes[Int(number)].lowKeyBytes = low.count
        nodes[Int(number)].highKeyBytes = high.count
        keys.append(contentsOf: low)
        keys.append(contentsOf: high)
    }

    /// Lends the lowest and highest key of a node; both are empty when nothing is known.
    func withKeys<R>(
        _ number: NodeNumber,
        _ body: (_ low: UnsafeRawBufferPointer, _ high: UnsafeRawBufferPointer) -> R
    ) -> R {
        let node = nodes[Int(number)]
        return keys.withUnsafeBytes { keys in
            let high = node.lowKey + node.lowKeyBytes
            return body(
                UnsafeRawBufferPointer(rebasing: keys[node.lowKey..<high]),
                UnsafeRawBufferPointer(rebasing: keys[high..<high + node.highKeyBytes]))
        }
    }
}
