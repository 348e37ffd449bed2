/// Where a block lies: its offset in bytes from the start of the device.
///
/// Source: FORMAT 1, "every address a multiple of B".
@frozen
public struct BlockAddress: RawRepresentable, Hashable, Comparable, Sendable {
    public var rawValue: UInt64

    @inlinable
    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// NIL: the address that stands for "no block".
    @inlinable
    public static var none: BlockAddress { BlockAddress(rawValue: .max) }

    @inlinable
    public var isNone: Bool { self == .none }

    @inlinable
    public static func < (left: BlockAddress, right: BlockAddress) -> Bool {
        left.rawValue < right.rawValue
    }
}
