/// The value of an entry key whose file has several names: which file, and of what kind.
///
/// Source: Docs/FORMAT.md 12.3.
public struct LinkRecord: Hashable, Sendable {
    // swift-format-ignore
    private enum Layout {
        static let qidPath   = ByteField<UInt64>(at: 0)
        static let kind      = ByteField<UInt32>(after: qidPath)
        static let byteCount = kind.end
    }

    /// The encoded size, 12 bytes: no directory entry is of that size.
    public static let byteCount = Layout.byteCount

    /// The file; its entry is the value of its `inode` key.
    public var qidPath: UInt64
    /// The bits of the entry's mode that no change of mode touches: the kind of file.
    public var kind: UInt32

    /// A record made of its parts.
    public init(qidPath: UInt64, kind: UInt32) {
        self.qidPath = qidPath
        self.kind = kind
    }

    /// Reads the value of an entry key; `nil` where it is a directory entry.
    public init?(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress, bytes.count == Self.byteCount else { return nil }
        qidPath = base[Layout.qidPath]
        kind = base[Layout.kind]
    }

    /// The 12 bytes.
    public func encoded() -> [UInt8] {
        encodedBytes(Self.byteCount) { bytes in
            bytes[Layout.qidPath] = qidPath
            bytes[Layout.kind] = kind
        }
    }
}
