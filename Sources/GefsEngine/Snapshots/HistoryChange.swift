import GefsFormat

/// A change of the labels of a volume. Source: FORMAT 8.4; SEMANTICS 8.
public enum HistoryChange: Hashable, Sendable {
    /// Names the present state of a label: an immutable label.
    case snapshot(of: [UInt8], as: [UInt8])
    /// Makes a branch that begins with the present state of a label.
    case fork(of: [UInt8], as: [UInt8])
    case delete([UInt8])
    case rename([UInt8], to: [UInt8])
    /// Lets a branch go back to a label's state; the state that it leaves is kept as `keeping`.
    case rollback(branch: [UInt8], to: [UInt8], keeping: [UInt8]?)
    /// Sets a configuration value of the whole disk, or clears it (nil).
    case configure(key: [UInt8], value: [UInt8]?)
}

/// Why a label is refused.
public enum LabelFault: Hashable, Sendable {
    case exists
    case unknown
    /// `adm`, `empty` and `dump` are the file system's own.
    case reserved
    /// Somebody is attached to it, or looks at its tree.
    case inUse
    /// The name is empty, too long, or has a character that no label may have.
    case badName
    /// What is asked for needs a branch, which follows writes.
    case immutable
    /// The configuration key is not set.
    case notSet
    /// The configuration key or value cannot be stored.
    case badConfiguration
}

/// What names a label may have. Source: SEMANTICS 8.1.
enum LabelName {
    static let adm = Array("adm".utf8)
    static let empty = Array("empty".utf8)
    static let main = Array("main".utf8)
    static let branchBytesMax = 63
    static let reserved: Set<[UInt8]> = [adm, empty, Dump.label]

    /// Refuses what cannot be the name of a new label.
    ///
    /// A label is a file name in `dump` and an attach name, where `%` in front has a meaning.
    /// - Parameter isMutable: whether it is to be a branch. The original cuts the names of branches
    ///   off (SEMANTICS 12.55), so they are shorter.
    static func check(_ name: [UInt8], isMutable: Bool) throws(FileError) {
        if reserved.contains(name) { throw .label(.reserved, name) }
        let dots: [[UInt8]] = [[UInt8(ascii: ".")], Array("..".utf8), Array(".ctl".utf8)]
        let bytesMax = isMutable ? branchBytesMax : Geometry.labelBytesMax
        guard !name.isEmpty, name.count <= bytesMax, !dots.contains(name),
            name.first != UInt8(ascii: "%"), name.first != UInt8(ascii: "-"),
            name.allSatisfy({ $0 > 0x20 && $0 != 0x7f && $0 != UInt8(ascii: "/") })
        else { throw .label(.badName, name) }
    }
}
