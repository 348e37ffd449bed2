/// The parts of the key of a part of an extended attribute, lent from the key's bytes.
///
/// Source: Docs/FORMAT.md 12.4.
public struct AttributeKeyView: @unchecked Sendable {
    /// The file that has the attribute.
    public let qid: UInt64
    /// The attribute's name, as the host calls it: `user.comment`.
    public let name: UnsafeRawBufferPointer
    /// Counts the parts of its value from 0.
    public let part: UInt16

    /// Bytes of a value that one part holds; all but the last are full.
    public static let partBytes = Geometry.valueBytesMax
    /// Bytes of the longest name.
    public static let nameBytesMax = 255

    /// Reads a key of kind `attribute`.
    ///
    /// - Returns: `nil` unless kind, name and terminator are right.
    public init?(_ key: UnsafeRawBufferPointer) {
        let nameStart = KeyEncoding.oneNumberBytes
        let nameEnd = key.count - 3
        guard let base = key.baseAddress, nameEnd > nameStart,
            key.count <= Geometry.posixKeyBytesMax,
            base[KeyEncoding.Layout.kind] == KeyKind.attribute.rawValue,
            base.load(fromByteOffset: nameEnd, as: UInt8.self) == 0
        else { return nil }
        name = UnsafeRawBufferPointer(rebasing: key[nameStart..<nameEnd])
        guard !name.contains(0) else { return nil }
        qid = base[KeyEncoding.Layout.number]
        part = base.loadBigEndian(at: nameEnd + 1, as: UInt16.self)
    }
}
