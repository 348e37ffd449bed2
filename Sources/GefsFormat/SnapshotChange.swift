/// The payload of `relink`, `reprev` and `incref` messages: a link and changes of both counts.
///
/// Source: FORMAT 6.4.
enum SnapshotChange {
    // swift-format-ignore
    enum Layout {
        static let link            = ByteField<UInt64>(at: 0)
        static let labelChange     = ByteField<Int8>(after: link)
        static let referenceChange = ByteField<Int8>(after: labelChange)
        static let byteCount       = referenceChange.end
    }

    /// Applies a payload whose size was checked to an encoded snapshot record.
    ///
    /// - Throws: `FoldError.countRange`, before anything is changed.
    static func apply(
        _ kind: MessageKind, _ payload: UnsafeRawPointer, to record: UnsafeMutableRawPointer
    ) throws(FoldError) {
        typealias Record = SnapshotRecord.Layout
        func changed(
            _ field: ByteField<UInt32>, by change: ByteField<Int8>
        ) throws(FoldError) -> UInt32 {
            let sum = Int64(record[field]) + Int64(payload[change])
            guard let count = UInt32(exactly: sum) else {
                throw .countRange(
                    snapshot: Generation(rawValue: record[Record.generation]),
                    count: record[field], change: payload[change])
            }
            return count
        }
        let labelCount = try changed(Record.labelCount, by: Layout.labelChange)
        let referenceCount = try changed(Record.referenceCount, by: Layout.referenceChange)
        record[Record.labelCount] = labelCount
        record[Record.referenceCount] = referenceCount
        switch kind {
        case .relink: record[Record.successor] = payload[Layout.link]
        case .reprev: record[Record.predecessor] = payload[Layout.link]
        default: break
        }
    }
}
