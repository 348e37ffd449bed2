/// Why a message cannot be applied to a value.
public enum FoldError: Error, Hashable, Sendable {
    /// The number of a message kind that there is not.
    case unknownKind(UInt8)
    /// The message changes or removes a value, and there is none.
    case missingKey(MessageKind)
    /// The value is not of the kind that the message changes.
    case valueSize(MessageKind, found: Int, expected: Int)
    /// The payload is not of the size that the message's kind demands.
    case payloadSize(MessageKind, found: Int, expected: Int)
    /// A count of a snapshot would leave its range.
    case countRange(snapshot: Generation, count: UInt32, change: Int8)
}

extension FoldError: CustomStringConvertible {
    /// What was found and what was expected.
    public var description: String {
        switch self {
        case .unknownKind(let kind): "message kind \(kind), expected 1 to 8"
        case .missingKey(let kind): "\(kind) message for a missing key"
        case .valueSize(let kind, let found, let expected):
            "\(kind) message for a value of \(found) bytes, expected \(expected)"
        case .payloadSize(let kind, let found, let expected):
            "\(kind) payload of \(found) bytes, expected \(expected)"
        case .countRange(let snapshot, let count, let change):
            "count \(count) of snapshot \(snapshot) cannot change by \(change)"
        }
    }
}

/// What messages do to values.
///
/// Source: FORMAT 6.4.
public enum MessageFold {
    /// The value of a key after one more message; nothing is allocated.
    ///
    /// - Parameters:
    ///   - kind: what the message does.
    ///   - payload: what it does it with.
    ///   - current: the value before, `nil` if absent. It may be what the call before returned.
    ///   - scratch: at least `Geometry.valueBytesMax` bytes, overwritten by changed values.
    /// - Returns: the value after, `nil` if absent: `payload` itself for an insert, else bytes in
    ///   `scratch`.
    /// - Throws: `FoldError`; `scratch` may then hold another value than before.
    public static func apply(
        _ kind: MessageKind, payload: UnsafeRawBufferPointer,
        to current: UnsafeRawBufferPointer?, scratch: UnsafeMutableRawBufferPointer
    ) throws(FoldError) -> UnsafeRawBufferPointer? {
        switch kind {
        case .insert:
            return payload
        case .clearb, .clobber:
            return nil
        case .delete:
            guard current != nil else { throw .missingKey(kind) }
            return nil
        case .wstat:
            let flags = payload.first ?? 0
            let change = try checkedPayload(kind, payload, EntryChange.byteCount(flags: flags))
            let sizes = DirectoryEntry.byteCount...DirectoryEntry.posixByteCount
            let value = try changeable(kind, current, sizes, scratch)
            EntryChange.apply(change, to: value.base)
            return value.bytes
        case .relink, .reprev, .incref:
            let change = try checkedPayload(kind, payload, SnapshotChange.Layout.byteCount)
            let sizes = SnapshotRecord.byteCount...Geometry.valueBytesMax
            let value = try changeable(kind, current, sizes, scratch)
            try SnapshotChange.apply(kind, change, to: value.base)
            return value.bytes
        }
    }

    private static func checkedPayload(
        _ kind: MessageKind, _ payload: UnsafeRawBufferPointer, _ expected: Int
    ) throws(FoldError) -> UnsafeRawPointer {
        guard let base = payload.baseAddress, payload.count == expected else {
            throw .payloadSize(kind, found: payload.count, expected: expected)
        }
        return base
    }

    /// A copy of the value in `scratch`, unless it is there already.
    private static func changeable(
        _ kind: MessageKind, _ current: UnsafeRawBufferPointer?, _ sizes: ClosedRange<Int>,
        _ scratch: UnsafeMutableRawBufferPointer
    ) throws(FoldError) -> (base: UnsafeMutableRawPointer, bytes: UnsafeRawBufferPointer) {
        guard let current else { throw .missingKey(kind) }
        guard sizes.contains(current.count), let source = current.baseAddress else {
            throw .valueSize(kind, found: current.count, expected: sizes.lowerBound)
        }
        precondition(scratch.count >= current.count, "scratch buffer is too small")
        let base = scratch.baseAddress.unsafelyUnwrapped
        if UnsafeRawPointer(base) != source {
            base.copyMemory(from: source, byteCount: current.count)
        }
        return (base, UnsafeRawBufferPointer(start: base, count: current.count))
    }
}

extension MessageKind {
    /// The kind of this number.
    ///
    /// - Throws: `FoldError.unknownKind` when there is none.
    public init(checking number: UInt8) throws(FoldError) {
        guard let kind = MessageKind(rawValue: number) else { throw .unknownKind(number) }
        self = kind
    }
}
