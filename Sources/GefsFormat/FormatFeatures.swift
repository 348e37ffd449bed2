/// What a disk has beyond the original's format: flags of the superblock.
///
/// A disk with any of them has another magic, so that the original refuses it. One that has a flag
/// which is not known here is refused by us.
/// Source: Docs/FORMAT.md 12.1.
public struct FormatFeatures: OptionSet, Hashable, Sendable {
    public var rawValue: UInt64

    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// Hard links, extended attributes, change times, owners as the host numbers them, and names
    /// of 255 bytes of any value but 0 and `/`.
    public static let posix = FormatFeatures(rawValue: 1)

    /// All that this implementation knows.
    public static let known: FormatFeatures = [.posix]

    /// What users call the features, comma between them.
    public var names: String { contains(.posix) ? "posix" : "" }

    /// The feature that users call so.
    public init?(name: String) {
        guard name == "posix" else { return nil }
        self = .posix
    }
}
