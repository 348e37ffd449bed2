/// Fills a pivot: children and messages, each kind in key order, in any interleaving.
///
/// A child takes `Geometry.recordOverheadBytes` + key + `Geometry.pivotValueBytes`, a message
/// `Geometry.messageOverheadBytes` + key + payload, both a table entry of
/// `Geometry.tableEntryBytes` more. Source: FORMAT 6.2.
@frozen
public struct PivotBuilder {
    @usableFromInline let base: UnsafeMutableRawPointer
    @usableFromInline var children = RecordAreaBuilder(.pivot)
    @usableFromInline var messages = RecordAreaBuilder(.messages)

    /// Starts an empty pivot in 16384 bytes of memory that outlive the builder.
    @inlinable
    public init(block: UnsafeMutableRawPointer) {
        base = block
    }

    /// Number of children so far.
    @inlinable
    public var childCount: Int { children.count }

    /// Bytes the children take so far, table included, of `Geometry.pivotSpaceBytes`.
    @inlinable
    public var childFill: Int { children.fill }

    /// Number of messages so far.
    @inlinable
    public var messageCount: Int { messages.count }

    /// Bytes the messages take so far, table included, of `Geometry.pivotBufferBytes`.
    @inlinable
    public var messageFill: Int { messages.fill }

    /// Bytes in use so far, as parents state it.
    @inlinable
    public var fill: Int { childFill &+ messageFill }

    /// Whether a child with a key of this size has room.
    @inlinable @inline(__always)
    public func fitsChild(keyBytes: Int) -> Bool {
        children.fits(
            byteCount: Geometry.recordOverheadBytes &+ keyBytes &+ Geometry.pivotValueBytes)
    }

    /// Whether a message of these sizes has room.
    @inlinable @inline(__always)
    public func fitsMessage(keyBytes: Int, payloadBytes: Int) -> Bool {
        messages.fits(byteCount: Geometry.messageOverheadBytes &+ keyBytes &+ payloadBytes)
    }

    /// Adds a child that fits, with a key above all before.
    ///
    /// - Parameters:
    ///   - key: not above any key in the child, above every key in the child before.
    ///   - pointer: where the child lies.
    ///   - fill: the child's fill.
    @inlinable
    public mutating func appendChild(
        key: UnsafeRawBufferPointer, pointer: BlockPointer, fill: Int
    ) {
        assert(key.count > 0 && key.count <= Geometry.posixKeyBytesMax)
        assert(fill > 0 && fill <= Geometry.leafSpaceBytes && pointer.address.isAligned)
        assert(
            childCount == 0
                || compareKeys(
                    lengthPrefixedBytes(RecordArea.pivot.record(childCount - 1, in: base)), key)
                    < 0
        )
        let byteCount = Geometry.recordOverheadBytes &+ key.count &+ Geometry.pivotValueBytes
        let record = children.reserve(byteCount: byteCount, in: base)
        let value = storeLengthPrefixed(key, at: record)
        value.storeBigEndian(UInt16(truncatingIfNeeded: Geometry.pivotValueBytes), at: 0)
        pointer.encode(into: value + 2)
        value.storeBigEndian(
            UInt16(truncatingIfNeeded: fill), at: 2 &+ BlockPointer.byteCount)
    }

    /// Adds a message that fits, with a key not below any before.
    @inlinable
    public mutating func appendMessage(
        kind: MessageKind, key: UnsafeRawBufferPointer, payload: UnsafeRawBufferPointer
    ) {
        assert(key.count > 0 && key.count <= Geometry.posixKeyBytesMax)
        assert(payload.count <= Geometry.valueBytesMax)
        assert(
            messageCount == 0
                || compareKeys(
                    lengthPrefixedBytes(
                        RecordArea.messages.record(messageCount - 1, in: base) + 1), key) <= 0
        )
        let byteCount = Geometry.messageOverheadBytes &+ key.count &+ payload.count
        let record = messages.reserve(byteCount: byteCount, in: base)
        record.storeBytes(of: kind.rawValue, as: UInt8.self)
        _ = storeLengthPrefixed(payload, at: storeLengthPrefixed(key, at: record + 1))
    }

    /// Adds a message as another pivot holds it.
    @inlinable
    public mutating func appendMessage(_ message: MessageView) {
        appendMessage(kind: message.kind, key: message.key, payload: message.payload)
    }

    /// Writes the header, and zeros where nothing is stored.
    ///
    /// - Returns: the pivot's fill.
    @inlinable @discardableResult
    public mutating func finish() -> Int {
        base[NodeLayout.kind] = BlockKind.pivot.rawValue
        base[NodeLayout.count] = UInt16(truncatingIfNeeded: childCount)
        base[NodeLayout.recordBytes] = UInt16(truncatingIfNeeded: children.recordBytes)
        base[NodeLayout.messageCount] = UInt16(truncatingIfNeeded: messageCount)
        base[NodeLayout.messageBytes] = UInt16(truncatingIfNeeded: messages.recordBytes)
        children.zeroSlack(in: base)
        messages.zeroSlack(in: base)
        return fill
    }
}
