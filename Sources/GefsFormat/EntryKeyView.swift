/// The parts of an entry key, lent from the key's bytes.
///
/// Source: FORMAT 7, "Kent".
@frozen
public struct EntryKeyView: @unchecked Sendable {
    /// The qid of the directory that holds the name.
    public let parent: UInt64
    /// The file's name, at most `Geometry.posixNameBytesMax` bytes.
    public let name: UnsafeRawBufferPointer

    /// Reads a key of kind `entry`.
    ///
    /// - Returns: `nil` unless kind, size, name length and terminator are right.
    @inlinable
    public init?(_ key: UnsafeRawBufferPointer) {
        guard key.count >= KeyEncoding.entryOverheadBytes, key.count <= Geometry.posixKeyBytesMax,
            let base = key.baseAddress,
            base[KeyEncoding.Layout.kind] == KeyKind.entry.rawValue,
            Int(base[KeyEncoding.Layout.nameLength]) == key.count - KeyEncoding.entryOverheadBytes,
            base.load(fromByteOffset: key.count - 1, as: UInt8.self) == 0
        else { return nil }
        parent = base[KeyEncoding.Layout.number]
        name = UnsafeRawBufferPointer(
            start: base + KeyEncoding.Layout.name,
            count: key.count - KeyEncoding.entryOverheadBytes)
    }
}
