/// Why bytes are not a key.
public enum KeyError: Error, Hashable, Sendable {
    /// There are none.
    case empty
    /// More than `Geometry.posixKeyBytesMax`.
    case tooLong(byteCount: Int)
    /// The first byte is no known kind.
    case unknownKind(UInt8)
    /// Not the size that the kind demands; for entries the least one.
    case size(KeyKind, found: Int, expected: Int)
    /// The stated length of the name is not that of the bytes present.
    case nameLength(stated: Int, found: Int)
    /// The byte behind the name of an entry is not 0.
    case terminator
    /// An attribute without a name, or without the 0 behind it.
    case attribute
}

extension KeyError: CustomStringConvertible {
    /// What was found and what was expected.
    public var description: String {
        switch self {
        case .empty: "empty key"
        case .tooLong(let byteCount):
            "key of \(byteCount) bytes, at most \(Geometry.posixKeyBytesMax)"
        case .unknownKind(let kind): "key kind \(kind), expected 0 to 9"
        case .size(let kind, let found, let expected):
            "\(kind) key of \(found) bytes, expected \(expected)"
        case .nameLength(let stated, let found):
            "entry key states a name of \(stated) bytes, has \(found)"
        case .terminator: "entry key does not end in 0"
        case .attribute: "attribute key without a name that ends in 0"
        }
    }
}

extension KeyKind {
    /// The kind of a key that is whole and valid.
    ///
    /// - Throws: `KeyError` when anything about the key is wrong.
    public init(checking key: UnsafeRawBufferPointer) throws(KeyError) {
        guard let base = key.baseAddress, key.count > 0 else { throw .empty }
        guard key.count <= Geometry.posixKeyBytesMax else { throw .tooLong(byteCount: key.count) }
        let raw = base[KeyEncoding.Layout.kind]
        guard let kind = KeyKind(rawValue: raw) else { throw .unknownKind(raw) }
        switch kind {
        case .data, .deadlist:
            try kind.require(key, KeyEncoding.twoNumberBytes)
        case .up, .snapshot, .inode:
            try kind.require(key, KeyEncoding.oneNumberBytes)
        case .link:
            guard key.count > KeyEncoding.twoNumberBytes else {
                throw .size(kind, found: key.count, expected: KeyEncoding.twoNumberBytes + 1)
            }
        case .attribute:
            guard AttributeKeyView(key) != nil else { throw .attribute }
        case .entry:
            try Self.checkEntry(key, base)
        case .label, .config:
            break
        }
        self = kind
    }

    private func require(_ key: UnsafeRawBufferPointer, _ byteCount: Int) throws(KeyError) {
        guard key.count == byteCount else {
            throw .size(self, found: key.count, expected: byteCount)
        }
    }

    private static func checkEntry(
        _ key: UnsafeRawBufferPointer, _ base: UnsafeRawPointer
    ) throws(KeyError) {
        let overhead = KeyEncoding.entryOverheadBytes
        guard key.count >= overhead else {
            throw .size(.entry, found: key.count, expected: overhead)
        }
        let stated = Int(base[KeyEncoding.Layout.nameLength])
        guard stated == key.count - overhead else {
            throw .nameLength(stated: stated, found: key.count - overhead)
        }
        guard base.load(fromByteOffset: key.count - 1, as: UInt8.self) == 0 else {
            throw .terminator
        }
    }
}
