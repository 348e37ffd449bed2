import GefsFormat

/// A pivot or a leaf.
public struct NodeDump: Hashable, Sendable, Encodable, CustomStringConvertible {
    /// A key and what it leads to.
    public struct Record: Hashable, Sendable, Encodable {
        /// The key.
        public var key: String
        /// Its value, or the child's pointer and fill.
        public var value: String
    }

    /// A buffered change.
    public struct Message: Hashable, Sendable, Encodable {
        /// What it does.
        public var kind: String
        /// To which key.
        public var key: String
        /// With what.
        public var payload: String
    }

    /// `pivot` or `leaf`.
    public var type: String
    /// Where it lies.
    public var address: String
    /// The hash of the whole block.
    public var hash: String
    /// Bytes in use.
    public var fill: Int
    /// What keeps the engine from using the node, if anything.
    public var error: String?
    /// Records of a leaf, children of a pivot, in the order of the table.
    public var records: [Record]
    /// Messages of a pivot.
    public var messages: [Message]

    init(_ node: NodeScan, at address: BlockAddress, hash: UInt64) {
        type = node.isLeaf ? "leaf" : "pivot"
        self.address = address.description
        self.hash = hexadecimal(hash)
        fill = node.fill
        do throws(CorruptBlock) {
            try NodeCheck.check(node.block, at: address)
        } catch {
            self.error = error.reason.description
        }
        records = (0..<node.count).map { index in
            let key = node.key(index)
            guard !node.isLeaf else {
                return Record(
                    key: Key(key).outline,
                    value: ValueOutline.value(node.value(behind: key), of: key))
            }
            guard let child = node.child(index) else {
                return Record(
                    key: Key(key).outline, value: ValueOutline.bytes(node.value(behind: key)))
            }
            return Record(
                key: Key(key).outline, value: "\(child.pointer.outline) fill \(child.fill)")
        }
        messages = (0..<node.messageCount).map { index in
            let key = node.messageKey(index)
            let number = node.messageKind(index)
            let kind = MessageKind(rawValue: number)
            return Message(
                kind: kind.map { "\($0)" } ?? "kind \(number)", key: Key(key).outline,
                payload: ValueOutline.payload(node.value(behind: key), kind, of: key))
        }
    }

    /// A line for each record and message.
    public var description: String {
        var lines = ["block \(address): \(type), hash \(hash), fill \(fill)"]
        if let error { lines.append("  corrupt: \(error)") }
        for (index, record) in records.enumerated() {
            lines.append("  \(index): \(record.key) → \(record.value)")
        }
        for (index, message) in messages.enumerated() {
            lines.append("  message \(index): \(message.kind) \(message.key) \(message.payload)")
        }
        return lines.joined(separator: "\n")
    }
}

extension BlockPointer {
    /// The pointer as dumps show it: address, hash, generation.
    var outline: String {
        isNone ? "none" : "(\(address), \(hexadecimal(hash)), \(generation))"
    }
}
