import GefsFormat

/// The nodes of a tree, from the root down, without their records.
public struct TreeDump: Hashable, Sendable, Encodable, CustomStringConvertible {
    /// A node.
    public struct Node: Hashable, Sendable, Encodable {
        /// Levels below the root.
        public var depth: Int
        /// Where it lies.
        public var address: String
        /// When it was born.
        public var generation: UInt64
        /// `pivot` or `leaf`; `nil` when the node cannot be read.
        public var type: String?
        /// The lowest key that belongs here, as the parent has it; the root has none.
        public var key: String?
        /// Records or children.
        public var records: Int
        /// Messages.
        public var messages: Int
        /// Bytes in use.
        public var fill: Int
        /// What is wrong with the node, if anything.
        public var error: String?
    }

    /// Levels, as the tree's root has it.
    public var height: UInt32
    /// The nodes, each before its children.
    public var nodes: [Node] = []

    /// Reads a tree. Nodes above `depth` levels are left out.
    init(_ source: any CheckSource, root: BlockPointer, height: UInt32, depth: Int) {
        self.height = height
        let buffer = UnsafeMutableRawBufferPointer.allocate(
            byteCount: Geometry.blockBytes, alignment: MemoryLayout<UInt64>.alignment)
        defer { buffer.deallocate() }
        // A damaged pivot may lead back to where it came from: no tree is deeper than this.
        let depthMax = min(depth, Int(min(height, UInt32(Geometry.treeHeightMax))))
        var seen: Set<BlockPointer> = [root]
        var todo: [(pointer: BlockPointer, key: String?, depth: Int)] = [(root, nil, 0)]
        while let next = todo.popLast() {
            let (node, children) = Self.read(next.pointer, source, buffer)
            var entry = node
            entry.depth = next.depth
            entry.key = next.key
            nodes.append(entry)
            guard next.depth + 1 < depthMax else { continue }
            for child in children.reversed() where seen.insert(child.pointer).inserted {
                todo.append((child.pointer, child.key, next.depth + 1))
            }
        }
    }

    private static func read(
        _ pointer: BlockPointer, _ source: any CheckSource,
        _ buffer: UnsafeMutableRawBufferPointer
    ) -> (Node, [(pointer: BlockPointer, key: String)]) {
        var entry = Node(
            depth: 0, address: pointer.address.description,
            generation: pointer.generation.rawValue, type: nil, key: nil, records: 0,
            messages: 0, fill: 0, error: nil)
        do throws(DeviceError) {
            try source.read(at: pointer.address.rawValue, into: buffer)
        } catch {
            entry.error = error.description
            return (entry, [])
        }
        let bytes = UnsafeRawBufferPointer(buffer)
        let hash = MetroHash64.hash(bytes)
        if hash != pointer.hash {
            entry.error = CorruptBlock.Reason.hash(found: hash, expected: pointer.hash).description
        }
        do throws(CorruptBlock.Reason) {
            let node = try NodeScan(bytes.baseAddress.unsafelyUnwrapped)
            entry.type = node.isLeaf ? "leaf" : "pivot"
            entry.records = node.count
            entry.messages = node.messageCount
            entry.fill = node.fill
            guard !node.isLeaf else { return (entry, []) }
            let children = (0..<node.count).compactMap { index in
                node.child(index).map { ($0.pointer, Key(node.key(index)).outline) }
            }
            return (entry, children)
        } catch {
            entry.error = entry.error ?? error.description
            return (entry, [])
        }
    }

    /// A line for each node, indented by its depth.
    public var description: String {
        nodes.map { node in
            var line = String(repeating: "  ", count: node.depth)
            line += "\(node.type ?? "node") \(node.address), born in "
            line += Generation(rawValue: node.generation).description
            line += ", \(node.records) records, \(node.messages) messages, fill \(node.fill)"
            if let key = node.key { line += ", from \(key)" }
            if let error = node.error { line += ", corrupt: \(error)" }
            return line
        }.joined(separator: "\n")
    }
}
