/// What is wrong with bytes that should be a 9P2000 message.
public enum ProtocolError: Error, Hashable, Sendable {
    /// The size field counts fewer bytes than a header has.
    case frameTooShort(byteCount: Int)
    /// The size field counts more than was agreed on.
    case frameTooLong(byteCount: Int, limit: Int)
    /// A field needs more bytes than the message has left.
    case truncated(neededBytes: Int, availableBytes: Int)
    /// The message goes on behind its last field.
    case trailingBytes(count: Int)
    /// No message of 9P2000 has this type, or the other side sends it.
    case unknownType(UInt8)
    /// A walk of more elements than 16.
    case tooManyNames(count: Int)
    /// A stat record's size field does not fit its surroundings.
    case badStatSize(found: Int, expected: Int)
    /// The message to be encoded is larger than its buffer, or a string longer than 65535 bytes.
    case doesNotFit
}
