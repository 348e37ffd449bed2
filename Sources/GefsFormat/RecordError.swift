/// Why a value is not the record that its key promises.
public enum RecordError: Error, Hashable, Sendable {
    /// Not the record's size; for snapshots the least one.
    case size(found: Int, expected: Int)
    /// A label's value does not start like a snapshot key.
    case labelTarget(kind: UInt8)
    /// A file longer than a signed number can say.
    case fileLength(UInt64)
    /// A name of a file that has no entry.
    case danglingLink(qid: UInt64)
}

extension RecordError: CustomStringConvertible {
    /// What was found and what was expected.
    public var description: String {
        switch self {
        case .size(let found, let expected): "record of \(found) bytes, expected \(expected)"
        case .labelTarget(let kind):
            "label points to key kind \(kind), expected \(KeyKind.snapshot.rawValue)"
        case .danglingLink(let qid): "a name of file \(qid), which has no entry"
        case .fileLength(let length): "file length \(hexadecimal(length)) is out of range"
        }
    }
}
