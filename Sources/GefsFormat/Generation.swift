/// When a block was born: every snapshot and every working state has a number of its own.
///
/// Source: FORMAT 8.1.
@frozen
public struct Generation: RawRepresentable, Hashable, Comparable, Sendable {
    /// The number, or all ones for "no generation".
    public var rawValue: UInt64

    /// The generation of this number.
    @inlinable
    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// NIL: stands for "no generation", such as the successor of the last snapshot of a line.
    @inlinable
    public static var none: Generation { Generation(rawValue: .max) }

    /// The first generation, that of the snapshot `empty` and of all blocks of the snapshot tree.
    @inlinable
    public static var zero: Generation { Generation(rawValue: 0) }

    /// Whether this stands for "no generation".
    @inlinable
    public var isNone: Bool { self == .none }

    /// By age, older first; `none` comes last.
    @inlinable
    public static func < (left: Generation, right: Generation) -> Bool {
        left.rawValue < right.rawValue
    }
}

extension Generation: CustomStringConvertible {
    /// The number in decimal, or `none`.
    public var description: String { isNone ? "none" : String(rawValue) }
}
