/// Writes keys into memory of the caller, for paths that must not allocate.
///
/// Each function returns the number of bytes written; `Geometry.posixKeyBytesMax` bytes are enough for
/// every key that a tree can hold.
/// Source: FORMAT 7.
public enum KeyEncoding {
    // swift-format-ignore
    @usableFromInline
    enum Layout {
        @inlinable static var kind: ByteField<UInt8>        { ByteField(at: 0) }
        @inlinable static var number: ByteField<UInt64>     { ByteField(after: kind) }
        @inlinable static var second: ByteField<UInt64>     { ByteField(after: number) }
        @inlinable static var nameLength: ByteField<UInt16> { ByteField(after: number) }
        @inlinable static var name: Int                     { nameLength.end }
        @inlinable static var terminatorBytes: Int          { 1 }
    }

    /// Size of a key that is a kind and one number, and of the prefixes.
    @inlinable public static var oneNumberBytes: Int { Layout.number.end }
    /// Size of a key that is a kind and two numbers.
    @inlinable public static var twoNumberBytes: Int { Layout.second.end }
    /// What an entry key takes beside the name.
    @inlinable public static var entryOverheadBytes: Int { Layout.name + Layout.terminatorBytes }
    /// What a label or setting takes beside its text.
    @inlinable public static var textOverheadBytes: Int { Layout.kind.end }

    /// Key of the block at `offset` of a file.
    @inlinable
    public static func data(
        _ qid: UInt64, offset: UInt64, into bytes: UnsafeMutableRawPointer
    ) -> Int {
        twoNumbers(.data, qid, offset, into: bytes)
    }

    /// Key of `name` in the directory `parent`.
    ///
    /// A name longer than `Geometry.posixNameBytesMax` gives a key that no tree holds.
    @inlinable
    public static func entry(
        parent: UInt64, name: UnsafeRawBufferPointer, into bytes: UnsafeMutableRawPointer
    ) -> Int {
        _ = oneNumber(.entry, parent, into: bytes)
        bytes[Layout.nameLength] = UInt16(truncatingIfNeeded: name.count)
        bytes.storeBytes(of: name, at: Layout.name)
        bytes.storeBytes(of: 0, toByteOffset: Layout.name + name.count, as: UInt8.self)
        return Layout.name + name.count + Layout.terminatorBytes
    }

    /// Key of the way up from the directory `qid`.
    @inlinable
    public static func up(_ qid: UInt64, into bytes: UnsafeMutableRawPointer) -> Int {
        oneNumber(.up, qid, into: bytes)
    }

    /// A kind and one number.
    @inlinable
    public static func oneNumber(
        _ kind: KeyKind, _ number: UInt64, into bytes: UnsafeMutableRawPointer
    ) -> Int {
        bytes[Layout.kind] = kind.rawValue
        bytes[Layout.number] = number
        return oneNumberBytes
    }

    /// A kind and two numbers.
    @inlinable
    public static func twoNumbers(
        _ kind: KeyKind, _ first: UInt64, _ second: UInt64, into bytes: UnsafeMutableRawPointer
    ) -> Int {
        bytes[Layout.kind] = kind.rawValue
        bytes[Layout.number] = first
        bytes[Layout.second] = second
        return twoNumberBytes
    }

    /// A kind and text up to the end of the key.
    @inlinable
    public static func text(
        _ kind: KeyKind, _ text: UnsafeRawBufferPointer, into bytes: UnsafeMutableRawPointer
    ) -> Int {
        bytes[Layout.kind] = kind.rawValue
        bytes.storeBytes(of: text, at: Layout.kind.end)
        return textOverheadBytes + text.count
    }
}
