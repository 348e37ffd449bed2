/// Whether values and payloads are what their keys and kinds demand.
///
/// Source: FORMAT 6.6 and 7.
public enum RecordCheck {
    /// A value in a leaf, or one to be inserted.
    public static func value(
        _ value: UnsafeRawBufferPointer, of kind: KeyKind, _ index: Int
    ) throws(CorruptBlock.Reason) {
        guard value.count <= Geometry.valueBytesMax else {
            throw .valueTooLong(index: index, byteCount: value.count)
        }
        switch kind {
        case .data: try size(value, kind, BlockPointer.byteCount, index)
        case .entry:
            let isEntry =
                value.count == DirectoryEntry.posixByteCount || value.count == LinkRecord.byteCount
            if !isEntry { try size(value, kind, DirectoryEntry.byteCount, index) }
        case .up:
            guard EntryKeyView(value) != nil else { throw .upTarget(index: index) }
        case .label: try size(value, kind, LabelRecord.byteCount, index)
        case .snapshot:
            // Longer records are accepted by all implementations; the rest has no meaning.
            guard value.count >= SnapshotRecord.byteCount else {
                throw .valueSize(
                    index: index, kind, found: value.count, expected: SnapshotRecord.byteCount)
            }
        case .deadlist: try size(value, kind, DeadlistRecord.byteCount, index)
        case .config, .attribute: break
        case .inode: try size(value, kind, DirectoryEntry.posixByteCount, index)
        case .link: try size(value, kind, 0, index)
        }
    }

    /// The value of a pivot entry.
    public static func child(
        _ value: UnsafeRawBufferPointer, _ index: Int
    ) throws(CorruptBlock.Reason) {
        guard let base = value.baseAddress, value.count == Geometry.pivotValueBytes else {
            throw .pivotValueSize(index: index, found: value.count)
        }
        let pointer = BlockPointer(decoding: base)
        guard pointer.address.isAligned else {
            throw .childAddress(index: index, pointer.address)
        }
        let fill = Int(base.loadBigEndian(at: BlockPointer.byteCount, as: UInt16.self))
        guard fill > 0, fill <= Geometry.leafSpaceBytes else {
            throw .childFill(index: index, fill: fill)
        }
    }

    /// A message for a key of this kind.
    public static func message(
        _ kind: MessageKind, _ key: KeyKind, _ payload: UnsafeRawBufferPointer, _ index: Int
    ) throws(CorruptBlock.Reason) {
        let expected: Int
        switch kind {
        case .insert:
            return try value(payload, of: key, index)
        case .delete, .clearb, .clobber:
            // No payload is needed, but dialect N deletes deadlists with the record that was there.
            guard payload.count <= Geometry.valueBytesMax else {
                throw .valueTooLong(index: index, byteCount: payload.count)
            }
            return
        case .wstat:
            guard key == .entry else { throw .messageKey(index: index, kind, key) }
            expected = EntryChange.byteCount(flags: payload.first ?? 0)
        case .relink, .reprev, .incref:
            guard key == .snapshot else { throw .messageKey(index: index, kind, key) }
            expected = SnapshotChange.Layout.byteCount
        }
        guard payload.count == expected else {
            throw .payloadSize(index: index, kind, found: payload.count, expected: expected)
        }
    }

    private static func size(
        _ value: UnsafeRawBufferPointer, _ kind: KeyKind, _ expected: Int, _ index: Int
    ) throws(CorruptBlock.Reason) {
        guard value.count == expected else {
            throw .valueSize(index: index, kind, found: value.count, expected: expected)
        }
    }
}
