/// The one look at the bytes of a node, when it is read. Who holds a block that passed may use
/// `LeafView` and `PivotView` on it without further checks.
///
/// Checked is what concerns this block alone; what two nodes have to agree on is not.
/// Source: FORMAT 6.2 and 6.6.
public enum NodeCheck {
    /// What a node may be.
    public enum Expectation: Hashable, Sendable {
        /// Only a pivot, as the height says.
        case pivot
        /// Only a leaf, as the height says.
        case leaf
        /// Either.
        case either
    }

    /// Checks a block that is to be a node.
    ///
    /// - Parameters:
    ///   - block: a whole block; its hash is not looked at.
    ///   - address: where it was read, for the error.
    ///   - expectation: what it may be.
    /// - Returns: `pivot` or `leaf`.
    /// - Throws: `CorruptBlock` with the first thing found to be wrong.
    @discardableResult
    public static func check(
        _ block: UnsafeRawBufferPointer, at address: BlockAddress,
        expecting expectation: Expectation = .either
    ) throws(CorruptBlock) -> BlockKind {
        var structure: CorruptBlock.Structure =
            switch expectation {
            case .pivot: .block(.pivot)
            case .leaf: .block(.leaf)
            case .either: .node
            }
        do throws(CorruptBlock.Reason) {
            guard let base = block.baseAddress, block.count == Geometry.blockBytes else {
                throw .blockSize(found: block.count)
            }
            let kind = try kind(of: base, expectation)
            structure = .block(kind)
            if kind == .leaf {
                try checkLeaf(base)
            } else {
                try checkPivot(base)
            }
            return kind
        } catch {
            throw CorruptBlock(address, structure, error)
        }
    }

    private static func kind(
        of base: UnsafeRawPointer, _ expectation: Expectation
    ) throws(CorruptBlock.Reason) -> BlockKind {
        let stored = base[NodeLayout.kind]
        switch (expectation, stored) {
        case (.pivot, BlockKind.pivot.rawValue), (.either, BlockKind.pivot.rawValue):
            return .pivot
        case (.leaf, BlockKind.leaf.rawValue), (.either, BlockKind.leaf.rawValue):
            return .leaf
        case (.pivot, _): throw .kind(found: stored, expected: .pivot)
        case (.leaf, _): throw .kind(found: stored, expected: .leaf)
        case (.either, _): throw .notNode(kind: stored)
        }
    }

    private static func checkLeaf(_ base: UnsafeRawPointer) throws(CorruptBlock.Reason) {
        let area = try CheckedArea(
            .leaf, base, count: Int(base[NodeLayout.count]),
            recordBytes: Int(base[NodeLayout.recordBytes]), prefixBytes: 0)
        guard area.count > 0 else { throw .emptyNode }
        var previous: UnsafeRawBufferPointer?
        for index in 0..<area.count {
            let record = area.record(index)
            if let previous, compareKeys(previous, record.key) >= 0 {
                throw .keyOrder(index: index)
            }
            previous = record.key
            let kind = try keyKind(record.key, index)
            try RecordCheck.value(record.value, of: kind, index)
        }
    }

    private static func checkPivot(_ base: UnsafeRawPointer) throws(CorruptBlock.Reason) {
        let children = try CheckedArea(
            .pivot, base, count: Int(base[NodeLayout.count]),
            recordBytes: Int(base[NodeLayout.recordBytes]), prefixBytes: 0)
        guard children.count > 0 else { throw .emptyNode }
        var previous: UnsafeRawBufferPointer?
        for index in 0..<children.count {
            let child = children.record(index)
            // Separators need not be keys of anything, but they have to be comparable ones.
            guard child.key.count > 0 else { throw .key(index: index, .empty) }
            guard child.key.count <= Geometry.posixKeyBytesMax else {
                throw .key(index: index, .tooLong(byteCount: child.key.count))
            }
            if let previous, compareKeys(previous, child.key) >= 0 {
                throw .keyOrder(index: index)
            }
            previous = child.key
            try RecordCheck.child(child.value, index)
        }
        let messages = try CheckedArea(
            .messages, base, count: Int(base[NodeLayout.messageCount]),
            recordBytes: Int(base[NodeLayout.messageBytes]), prefixBytes: 1)
        previous = nil
        for index in 0..<messages.count {
            let message = messages.record(index)
            if let previous, compareKeys(previous, message.key) > 0 {
                throw .messageOrder(index: index)
            }
            previous = message.key
            let rawKind = messages.prefix(index)
            guard let kind = MessageKind(rawValue: rawKind) else {
                throw .messageKind(index: index, rawKind)
            }
            let key = try keyKind(message.key, index)
            try RecordCheck.message(kind, key, message.value, index)
        }
    }

    private static func keyKind(
        _ key: UnsafeRawBufferPointer, _ index: Int
    ) throws(CorruptBlock.Reason) -> KeyKind {
        do throws(KeyError) {
            return try KeyKind(checking: key)
        } catch {
            throw .key(index: index, error)
        }
    }
}
